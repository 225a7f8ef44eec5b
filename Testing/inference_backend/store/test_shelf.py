"""Files by id within a cap."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from inference_backend.store.shelf import Shelf
from VILAM3SlicerLib.protocol.errors import InvalidRequest, NotFound, OutOfSpace, TooLarge

IDS = [f"{number:064x}" for number in range(10)]


def put(shelf: Shelf, file_id: str, size: int = 10) -> bool:
    with shelf.incoming() as incoming:
        incoming.write_bytes(bytes(size))
        return shelf.adopt(file_id, incoming)


def shelf_of(folder: Path, max_bytes: int = 35) -> Shelf:
    return Shelf(folder, ".bin", max_bytes, "volume")


def present(shelf: Shelf) -> list[int]:
    return [number for number, file_id in enumerate(IDS) if file_id in shelf]


def test_using_a_file_makes_it_stay_longer(tmp_path: Path) -> None:
    shelf = shelf_of(tmp_path)
    for number in range(3):
        assert put(shelf, IDS[number])
    shelf.path(IDS[0])
    put(shelf, IDS[3])
    assert present(shelf) == [0, 2, 3]
    assert not put(shelf, IDS[2])
    put(shelf, IDS[4])
    assert present(shelf) == [2, 3, 4]
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{IDS[number]}.bin" for number in (2, 3, 4)]


def test_room_is_made_for_large_ones_but_not_beyond_the_cap(tmp_path: Path) -> None:
    shelf = shelf_of(tmp_path)
    for number in range(3):
        put(shelf, IDS[number])
    put(shelf, IDS[3], size=25)
    assert present(shelf) == [2, 3]
    with pytest.raises(TooLarge):
        put(shelf, IDS[4], size=36)
    assert present(shelf) == [2, 3]


def test_files_in_use_stay(tmp_path: Path) -> None:
    shelf = shelf_of(tmp_path, max_bytes=20)
    put(shelf, IDS[0])
    put(shelf, IDS[1])
    with shelf.using(IDS[0]), shelf.using(IDS[0]), shelf.using(IDS[1]):
        with pytest.raises(OutOfSpace):
            put(shelf, IDS[2])
        with pytest.raises(InvalidRequest):
            shelf.delete(IDS[0])
    put(shelf, IDS[2])
    assert len(present(shelf)) == 2


def test_kept_files_are_found_again_oldest_first_and_halves_of_files_are_not(tmp_path: Path) -> None:
    first = shelf_of(tmp_path)
    for age, number in enumerate((2, 0, 1)):
        put(first, IDS[number])
        os.utime(tmp_path / f"{IDS[number]}.bin", (1000 + age, 1000 + age))
    (tmp_path / "half.partial").write_bytes(b"x")
    second = shelf_of(tmp_path)
    assert present(second) == [0, 1, 2]
    assert not (tmp_path / "half.partial").exists()
    put(second, IDS[3])
    assert present(second) == [0, 1, 3]


@pytest.mark.parametrize("name", ["", "..", "../x", "x" * 64, "A" * 64, "0" * 31, "0" * 65, "0" * 64 + "\n"])
def test_only_hexadecimal_ids_become_paths(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidRequest):
        shelf_of(tmp_path).path(name)


def test_what_is_not_there_is_not_found(tmp_path: Path) -> None:
    shelf = shelf_of(tmp_path)
    for action in (shelf.path, shelf.delete):
        with pytest.raises(NotFound) as missing:
            action(IDS[0])
        assert missing.value.code == "volume_unknown"
