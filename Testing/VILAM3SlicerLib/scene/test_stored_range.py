"""What a DICOM database tells of a radiograph's bits, kept with its node."""

from __future__ import annotations

import numpy as np
import pytest

from VILAM3SlicerLib.scene.stored_range import stored_range, tell_from_database, tell_stored_range

TAGS = {"0028,0101": "12", "0028,0103": "0", "0028,1053": "2", "0028,1052": "-10"}


@pytest.fixture
def node(make_volume):
    return make_volume(np.zeros((4, 4, 1), np.int16), np.eye(4))


def database(uid: str, tag: str) -> str:
    return TAGS.get(tag, "") if uid == "1.2.3" else ""


def test_the_database_tells_it_of_a_single_file(node):
    tell_from_database(node, database)
    assert stored_range(node) is None  # not from a database
    node.SetAttribute("DICOM.instanceUIDs", "1.2.3 1.2.4")
    tell_from_database(node, database)
    assert stored_range(node) is None  # slices may have rescalings of their own
    node.SetAttribute("DICOM.instanceUIDs", "1.2.3")
    tell_from_database(node, database)
    assert stored_range(node) == (-10.0, 8180.0)


def test_what_was_told_stays_and_can_be_taken_back(node):
    tell_stored_range(node, (0.0, 32767.0))
    node.SetAttribute("DICOM.instanceUIDs", "1.2.3")
    tell_from_database(node, database)
    assert stored_range(node) == (0.0, 32767.0)
    tell_stored_range(node, None)
    assert stored_range(node) is None


@pytest.mark.parametrize("spoiled", ["", "12", "5 1", "a b", "nan nan", "1 2 3"])
def test_a_spoiled_attribute_is_as_if_nobody_knew(node, spoiled):
    node.SetAttribute("VILAM3.StoredRange", spoiled)
    assert stored_range(node) is None
