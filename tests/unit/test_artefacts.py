"""Do the files of a published version appear whole or not at all, whoever comes between?"""

import pytest

from kg.errors import StaleToken, StoreError
from kg.publishing import artefacts
from kg.store import Store

FILES = {"manifest.json": "{}", "encoder/model.bin": "weights", "encoder/more/form.json": "[]"}


@pytest.fixture
def parts(tmp_path):
    for name in ("tower", "model"):
        for file, text in FILES.items():
            path = tmp_path / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    return {"tower": tmp_path / "tower", "model": tmp_path / "model"}


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def whole(folder):
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_text() for path in files} == {
        f"{part}/{file}": text for part in ("tower", "model") for file, text in FILES.items()
    }


def test_a_version_is_copied_whole_and_stays(store, parts):
    kept = artefacts.keep(store, "one", parts, label="saree", token=1)
    assert whole(kept) and artefacts.keep(store, "one", {}, label="saree", token=2) == kept and whole(kept)
    assert artefacts.folder_hash(kept / "tower") == artefacts.folder_hash(parts["tower"])
    assert [path.name for path in store.models.iterdir()] == ["one"]


@pytest.mark.parametrize("other", ["one", "two"])
@pytest.mark.parametrize("after", range(1, 7))
def test_a_newer_publisher_between_any_two_files_leaves_no_half_version(store, parts, monkeypatch, other, after):
    synced, count = artefacts._sync, iter(range(1, 100))

    def between(path):
        synced(path)
        if next(count) == after:
            monkeypatch.setattr(artefacts, "_sync", synced)
            assert whole(artefacts.keep(store, other, parts, label="saree", token=2))

    monkeypatch.setattr(artefacts, "_sync", between)
    if other == "one" and after == 2 * len(FILES):  # all is copied, and the other one's copy is as good
        assert whole(artefacts.keep(store, "one", parts, label="saree", token=1))
    else:
        with pytest.raises(StaleToken, match="publish again"):
            artefacts.keep(store, "one", parts, label="saree", token=1)
    assert [path.name for path in store.models.iterdir()] == [other] and whole(store.models / other)


def test_what_a_killed_publisher_left_goes_with_the_next_one(store, parts):
    for name in (".saree-1.part", ".saree-1.part.3.gone", ".saree-9.part", ".other-1.part"):
        (store.models / name / "tower").mkdir(parents=True)
    artefacts.keep(store, "one", parts, label="saree", token=5)
    assert sorted(path.name for path in store.models.iterdir()) == [".other-1.part", ".saree-9.part", "one"]


def test_a_folder_that_is_missing_is_named(store, parts, tmp_path):
    with pytest.raises(StoreError, match="gone is missing"):
        artefacts.keep(store, "one", parts | {"model": tmp_path / "gone"}, label="saree", token=1)
    assert not list(store.models.iterdir())
