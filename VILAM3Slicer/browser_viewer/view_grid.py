"""The four views on the page: three slices and 3D, drawn on the server and sent as pictures."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from trame.widgets import html
from trame.widgets import vuetify3 as vuetify
from trame_slicer.app.logic.slice_view_logic import connect_slice_view_slider_to_state
from trame_slicer.app.ui.slider import Slider
from trame_slicer.core import LayoutManager
from trame_slicer.rca_view import register_rca_factories
from trame_slicer.views import Layout, LayoutDirection, ViewLayoutDefinition

from browser_viewer.slicer_views import SLICE_VIEWS, TITLES, quiet_vtk
from VILAM3SlicerLib.scene.geometry import to_numpy
from VILAM3SlicerLib.scene.patient_sides import patient_sides

_LAYOUT = "four views"


class ViewGrid:
    """Creates the views of a trame server; ``fill`` puts them into a layout."""

    def __init__(self, server: Any, slicer_app: Any) -> None:
        self._app = slicer_app
        register_rca_factories(
            slicer_app.view_manager,
            server,
            slice_view_ui_f=_slice_ui,
            three_d_view_ui_f=_threed_ui,
            rca_encoder="jpeg",
            target_fps=20,
            blur_fps=10,
            interactive_quality=70,
        )
        self._layouts = LayoutManager(slicer_app.scene, slicer_app.view_manager, server)
        with quiet_vtk():
            self._layouts.register_layout(_LAYOUT, _four_views())
        for view in slicer_app.view_manager.get_views():
            view.render_window().SetMultiSamples(0)  # else Mesa drops translucent surfaces
        for view in slicer_app.view_manager.get_threed_views():
            view.renderer().SetUseFXAA(True)

    def fill(self, layout: Any) -> None:
        """Put the views where the layout is being built."""
        self._layouts.initialize_layout_grid(layout)
        self._layouts.set_layout(_LAYOUT)

    def show(self, volume_node: Any) -> None:
        """A volume in the background of the slice views, fitted."""
        self.set_background(volume_node)
        with quiet_vtk():
            self.fit()

    def set_background(self, volume_node: Any) -> None:
        """Another volume in the background of the slice views, which stay where they are."""
        with quiet_vtk():
            for view in self._app.view_manager.get_slice_views():
                view.set_background_volume_id(volume_node.GetID())
                view.schedule_render()

    def fit(self) -> None:
        """All of the scan in each view again."""
        for view in self._app.view_manager.get_views():
            view.fit_view_to_content()
            view.schedule_render()

    @property
    def camera(self) -> Any:
        """The ``vtkMRMLCameraNode`` of the 3D view."""
        (view,) = self._app.view_manager.get_threed_views()
        return view.get_camera_node()

    def redraw(self) -> None:
        """Draw all views again."""
        for view in self._app.view_manager.get_views():
            view.schedule_render()

    def on_slice_change(self, action: Any) -> None:
        """Call ``action`` after a slice view moved, zoomed or changed its size."""
        for view in self._app.view_manager.get_slice_views():
            view.modified.connect(lambda *_: action())


def _four_views() -> Layout:
    axial, coronal, sagittal = (
        ViewLayoutDefinition.axial_view(),
        ViewLayoutDefinition.coronal_view(),
        ViewLayoutDefinition.sagittal_view(),
    )
    threed = ViewLayoutDefinition.threed_view(background_color="#101418")
    return Layout(
        LayoutDirection.Horizontal,
        [
            Layout(LayoutDirection.Vertical, [axial, sagittal]),
            Layout(LayoutDirection.Vertical, [coronal, threed]),
        ],
    )


def _slice_ui(server: Any, _view_id: str, view: Any) -> None:
    name = view.get_singleton_tag()
    _caption(name, view)
    _patient_sides(view)
    state = connect_slice_view_slider_to_state(server, view)
    with html.Div(classes="view-slider"):
        Slider(
            typed_state=state, density="compact", theme="dark", color="#7fb4ff", track_size=2, thumb_size=12
        )


def _patient_sides(view: Any) -> None:
    """Letters at the edges; the page's slice views keep their planes, so they are written once."""
    sides = patient_sides(to_numpy(view.get_view_node().GetSliceToRAS()))
    for edge, letters in asdict(sides).items():
        html.Div(letters, classes=f"view-side view-side-{edge}")


def _threed_ui(_server: Any, _view_id: str, view: Any) -> None:
    _caption(view.get_singleton_tag(), view)
    html.Div("Segments appear here in 3D.", v_if=("scan.name && !segments.length",), classes="view-hint")
    html.Div("Building surfaces …", v_if=("building_surfaces",), classes="view-note")


def _caption(name: str, view: Any) -> None:
    marker = f"asked_view === '{name}' && mode === 'as_seen'" if name in SLICE_VIEWS else "false"
    with html.Div(classes="view-caption"):
        html.Span(TITLES[name])
        html.Span("shown to the model", v_if=(marker,), classes="view-marker")
    with vuetify.VBtn(
        icon=True,
        size="x-small",
        variant="text",
        classes="view-reset",
        click=view.reset_view,
        aria_label="Fit",
    ):
        vuetify.VIcon("mdi-fit-to-page-outline", size="small")
