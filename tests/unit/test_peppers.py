"""The peppers: kept outside the database, made once, and read again when they change."""

import multiprocessing
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.services import peppers
from app.services.peppers import PepperMissing, PepperStore
from app.settings import Settings, SettingsError, load

OLD = "an old secret of more than 32 characters"
NEW = "a new secret of more than 32 characters!"


def settings(folder: Path, **values: object) -> Settings:
    return load({}, env="test", data=folder, secret_key="x" * 40, **values)


def newest_id(folder: Path) -> str:
    return PepperStore(settings(folder))().newest.id


def test_the_file_is_made_on_first_use_for_its_owner_only(tmp_path: Path) -> None:
    store = PepperStore(settings(tmp_path / "data"))
    first = store()

    assert 0o600 == stat.S_IMODE(store.path.stat().st_mode)
    assert [store.path] == list((tmp_path / "data").iterdir())
    assert first == PepperStore(settings(tmp_path / "data"))()


def test_processes_that_start_at_once_agree_on_one_pepper(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        found = pool.map(newest_id, [tmp_path / "data"] * 8, chunksize=1)
        pool.close()
        pool.join()

    assert 1 == len(set(found))
    assert ["code_peppers"] == [path.name for path in (tmp_path / "data").iterdir()]


def test_threads_that_ask_at_once_agree_on_one_pepper(tmp_path: Path) -> None:
    stores = [PepperStore(settings(tmp_path)) for _ in range(8)]
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda store: store().newest.id, stores))

    assert 1 == len(set(found))


def test_a_running_process_reads_peppers_that_another_one_wrote(tmp_path: Path) -> None:
    running, rotating = PepperStore(settings(tmp_path)), PepperStore(settings(tmp_path))
    first = running().newest
    rotating.write([*peppers.of([NEW]).held, first])

    assert [peppers.of([NEW]).newest.id, first.id] == [pepper.id for pepper in running().held]


def test_settings_win_over_the_file_and_the_first_one_is_the_newest(tmp_path: Path) -> None:
    held = PepperStore(settings(tmp_path, code_peppers=f"{NEW}, {OLD}"))()

    assert [NEW.encode(), OLD.encode()] == [pepper.key for pepper in held.held]
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("wrong", ["short", f"{NEW},short", f"{NEW},{NEW}"])
def test_peppers_that_are_short_or_named_twice_stop_the_start(tmp_path: Path, wrong: str) -> None:
    with pytest.raises(SettingsError, match="LEIMA_CODE_PEPPERS"):
        settings(tmp_path, code_peppers=wrong)


def test_a_damaged_file_is_said_to_be_one_and_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "code_peppers").write_text("short\n")

    with pytest.raises(OSError, match="damaged"):
        PepperStore(settings(tmp_path))()
    assert "short\n" == (tmp_path / "code_peppers").read_text()


def test_a_peppers_id_tells_it_from_others_and_a_missing_one_is_said_to_be_missing() -> None:
    held = peppers.of([NEW, OLD])

    assert 2 == len({pepper.id for pepper in held.held})
    assert held.held[1] == held.by_id(held.held[1].id)
    with pytest.raises(PepperMissing):
        held.by_id("00000000")
