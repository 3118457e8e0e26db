"""Are cached features what was put, whoever else writes, dies or damages a file?"""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from kg.encoders import cache as cache_module
from kg.encoders.cache import FeatureCache, text_hash
from kg.errors import DimensionMismatch, StoreError

KEYS = [text_hash(f"text {i}") for i in range(500)]


def _vectors(keys: list[str], dim: int = 8) -> np.ndarray:
    return np.array([np.frombuffer(bytes.fromhex(key)[:dim], np.uint8) for key in keys], np.float32)


def _fill(folder: Path, keys: list[str]) -> None:
    with FeatureCache(folder, shape=8) as cache:
        cache.put(keys, _vectors(keys))


def test_what_was_put_comes_back_in_the_order_asked(tmp_path):
    _fill(tmp_path, KEYS)
    with FeatureCache(tmp_path, shape=8) as cache:
        vectors, found = cache.get(KEYS[::-1])
        assert found.all() and vectors.dtype == np.float32
        np.testing.assert_array_equal(vectors, _vectors(KEYS[::-1]))
        assert len(cache) == 500


def test_unknown_hashes_are_missing_once_and_their_rows_zero(tmp_path):
    _fill(tmp_path, KEYS[:10])
    with FeatureCache(tmp_path, shape=8) as cache:
        assert cache.missing([KEYS[11], KEYS[3], KEYS[11], KEYS[12]]) == [KEYS[11], KEYS[12]]
        vectors, found = cache.get([KEYS[3], KEYS[11]])
        assert found.tolist() == [True, False]
        assert not vectors[1].any()


def test_vectors_are_there_before_they_are_flushed(tmp_path):
    cache = FeatureCache(tmp_path, shape=8)
    cache.put(KEYS[:3], _vectors(KEYS[:3]))
    assert not list(tmp_path.iterdir())
    assert cache.get(KEYS[:4])[1].tolist() == [True, True, True, False]
    assert cache.missing(KEYS[:4]) == [KEYS[3]]


def test_one_process_sees_what_another_flushed(tmp_path):
    reader = FeatureCache(tmp_path, shape=8)
    assert reader.missing(KEYS) == KEYS
    _fill(tmp_path, KEYS[:100])
    assert reader.missing(KEYS) == KEYS[100:]


def test_many_small_shards_become_one_and_a_reader_survives_it(tmp_path, monkeypatch):
    monkeypatch.setattr(cache_module, "_FLUSH_EVERY_S", -1.0)
    writer, reader = FeatureCache(tmp_path, shape=8), FeatureCache(tmp_path, shape=8)
    for start in range(0, 500, 5):
        writer.put(KEYS[start : start + 5], _vectors(KEYS[start : start + 5]))
    assert len(reader) == 500 and len(list(tmp_path.glob("*.npy"))) == 100
    writer.close()
    assert len(list(tmp_path.glob("*.npy"))) == 1
    np.testing.assert_array_equal(reader.get(KEYS)[0], _vectors(KEYS))
    np.testing.assert_array_equal(FeatureCache(tmp_path, shape=8).get(KEYS)[0], _vectors(KEYS))


def test_entries_may_be_patches_in_half_precision(tmp_path):
    patches = np.random.default_rng(0).normal(size=(4, 49, 16)).astype(np.float16)
    with FeatureCache(tmp_path, shape=(49, 16), dtype="float16") as cache:
        cache.put(KEYS[:4], patches)
    vectors, found = FeatureCache(tmp_path, shape=(49, 16), dtype="float16").get(KEYS[:4])
    assert found.all() and vectors.dtype == np.float16
    np.testing.assert_array_equal(vectors, patches)


@pytest.mark.parametrize("damage", ["truncate", "flip", "empty"])
def test_a_damaged_shard_is_named_with_the_way_out(tmp_path, damage):
    _fill(tmp_path, KEYS)
    (shard,) = tmp_path.glob("*.npy")
    data = bytearray(shard.read_bytes())
    data[-5] ^= 0xFF
    shard.write_bytes({"truncate": data[:-100], "flip": data, "empty": b""}[damage])
    with pytest.raises(StoreError, match=f"{shard.name} is damaged; delete"):
        FeatureCache(tmp_path, shape=8).get(KEYS)
    shard.unlink()
    assert len(FeatureCache(tmp_path, shape=8).missing(KEYS)) == 500


def test_vectors_of_another_width_are_refused(tmp_path):
    with pytest.raises(DimensionMismatch, match=r"3 hashes.*\(3, 9\).*\(8,\)"):
        FeatureCache(tmp_path, shape=8).put(KEYS[:3], np.zeros((3, 9)))
    _fill(tmp_path, KEYS[:3])
    with pytest.raises(StoreError, match="damaged"):
        FeatureCache(tmp_path, shape=9).get(KEYS[:3])


def test_two_processes_write_and_one_is_killed(tmp_path):
    script = textwrap.dedent("""
        import sys, time
        import numpy as np
        from kg.encoders import cache
        cache._FLUSH_EVERY_S = 0.0
        store = cache.FeatureCache(sys.argv[1], shape=8)
        for i in range(int(sys.argv[2]), int(sys.argv[3])):
            key = cache.text_hash(f"text {i}")
            if store.missing([key]):
                store.put([key], np.frombuffer(bytes.fromhex(key)[:8], np.uint8).astype(np.float32)[None])
            print(i, flush=True)
            time.sleep(0.002)
        store.close()
    """)
    environment = {**os.environ, "PYTHONPATH": str(Path(cache_module.__file__).parents[2])}

    def run(first: int, last: int) -> subprocess.Popen:
        command = [sys.executable, "-c", script, str(tmp_path), str(first), str(last)]
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)

    finishing, killed = run(0, 200), run(100, 100_000)
    for _ in range(150):
        assert killed.stdout.readline()
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    killed.stdout.close()
    finishing.communicate(timeout=60)
    assert finishing.returncode == 0
    cache = FeatureCache(tmp_path, shape=8)
    keys = [text_hash(f"text {i}") for i in range(249)]
    vectors, found = cache.get(keys)
    assert found.all()
    np.testing.assert_array_equal(vectors, _vectors(keys))


def test_a_hundred_thousand_vectors_open_in_seconds(tmp_path):
    keys = [f"{i:064x}" for i in range(100_000)]
    vectors = np.random.default_rng(0).normal(size=(100_000, 64)).astype(np.float32)
    with FeatureCache(tmp_path, shape=64) as cache:
        for start in range(0, 100_000, 5_000):
            cache.put(keys[start : start + 5_000], vectors[start : start + 5_000])
    started = time.monotonic()
    again, found = FeatureCache(tmp_path, shape=64).get(keys)
    assert time.monotonic() - started < 5
    assert found.all()
    np.testing.assert_array_equal(again, vectors)
