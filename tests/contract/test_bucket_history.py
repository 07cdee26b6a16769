"""A history in a bucket meets all that a network and a server may do to it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import timedelta

import pytest
from bucket_rig import PLACE, BucketRig, a_bucket
from platform_rig import environment, wait_for
from test_histories import ENV, LOOP, F, P, a_run

from emulator.storage_server import Trouble
from loopctl.errors import Stopped
from loopctl.model.plan import BucketPlace
from loopctl.platforms.cloud_run.bucket_client import BucketClient
from loopctl.platforms.cloud_run.bucket_history import BucketHistory
from loopctl.ports.history import HistoryError
from loopctl.process import Stop

DENIED = (
    "ci@p.iam.gserviceaccount.com does not have storage.objects.{verb} access to the Google Cloud "
    "Storage object. Permission 'storage.objects.{verb}' denied on resource (or it may not exist)."
)


@pytest.fixture
def rig() -> Iterator[BucketRig]:
    with a_bucket() as made:
        yield made


@pytest.fixture
def history(rig: BucketRig) -> BucketHistory:
    return BucketHistory(rig.client())


@pytest.fixture
def stop() -> Stop:
    return Stop(20)


def test_writing_is_one_call_and_reading_one_for_each_record_and_the_list(
    rig: BucketRig, history: BucketHistory, stop: Stop
) -> None:
    for number in (1, 2, 3):
        history.put(a_run(number, a=P), stop)
    assert [call.split()[0] for call in rig.server.calls] == ["POST"] * 3
    rig.server.calls.clear()
    history.recent(LOOP, ENV, 2, stop)
    folder = f"{PLACE.prefix}/{LOOP}/{ENV}"
    assert sorted(rig.server.calls, reverse=True) == [
        "GET /storage/v1/b/ours/o",
        f"GET /download/storage/v1/b/ours/o/{folder}/{a_run(3).run_id}.json",
        f"GET /download/storage/v1/b/ours/o/{folder}/{a_run(2).run_id}.json",
    ]
    assert "authorization" not in rig.server.headers


def test_at_the_top_of_a_bucket_there_is_no_prefix(rig: BucketRig, stop: Stop) -> None:
    history = BucketHistory(rig.client(BucketPlace(PLACE.bucket)))
    history.put(a_run(1, a=P), stop)
    assert rig.server.buckets.names(PLACE.bucket) == [f"{LOOP}/{ENV}/{a_run(1).run_id}.json"]
    assert history.recent(LOOP, ENV, 9, stop) == [a_run(1, a=P)]


def test_of_a_long_history_only_the_end_is_listed(
    rig: BucketRig, history: BucketHistory, stop: Stop
) -> None:
    rig.server.page = 40
    for number in range(100):
        history.put(a_run(number * 86_400, a=P), stop)
    newest = a_run(99 * 86_400, a=P)
    rig.server.buckets.offset += newest.started_at - rig.server.buckets.now() + timedelta(days=1)
    rig.server.calls.clear()

    assert history.recent(LOOP, ENV, 1, stop) == [newest]
    assert len(rig.server.calls) == 3, "the first page, the last month, one record"
    assert len(history.recent(LOOP, ENV, 50, stop)) == 50
    assert len(history.recent(LOOP, ENV, 500, stop)) == 100


@pytest.mark.parametrize("kind", ["lost", "unheard", "halved"])
@pytest.mark.parametrize("verb", ["GET", "POST"])
def test_a_cut_connection_costs_nothing(
    rig: BucketRig, history: BucketHistory, stop: Stop, verb: str, kind: str
) -> None:
    history.put(a_run(1, a=F), stop)
    trouble = Trouble(kind, verb)  # type: ignore[arg-type]
    rig.server.troubles.append(trouble)
    history.put(a_run(2, a=P), stop)
    assert history.recent(LOOP, ENV, 9, stop) == [a_run(2, a=P), a_run(1, a=F)]
    assert trouble.times == 0
    assert len(rig.names()) == 2


@pytest.mark.parametrize(
    "status", [429, *(pytest.param(n, marks=pytest.mark.slow) for n in (408, 500, 502, 503, 504))]
)
def test_what_passes_is_asked_again_a_few_times(
    rig: BucketRig, history: BucketHistory, stop: Stop, status: int
) -> None:
    rig.server.troubles.append(Trouble("refuse", "POST", times=2, status=status))
    history.put(a_run(1, a=P), stop)
    assert len(rig.server.calls) == 3


@pytest.mark.slow
def test_what_does_not_pass_is_told_after_a_few_times(
    rig: BucketRig, history: BucketHistory, stop: Stop
) -> None:
    rig.server.troubles.append(Trouble("refuse", times=99))
    with pytest.raises(HistoryError, match=r"cannot list .*encountered an internal error.*\(503\)"):
        history.recent(LOOP, ENV, 9, stop)
    assert len(rig.server.calls) == 4


@pytest.mark.parametrize(("verb", "call"), [("list", "GET"), ("create", "POST")])
def test_who_may_not_is_told_the_command_that_mends_it(
    rig: BucketRig, history: BucketHistory, stop: Stop, verb: str, call: str
) -> None:
    text = DENIED.format(verb=verb)
    rig.server.troubles.append(Trouble("refuse", call, status=403, message=text, times=9))

    def ask() -> None:
        if call == "GET":
            history.recent(LOOP, ENV, 9, stop)
        else:
            history.put(a_run(1, a=P), stop)

    with pytest.raises(HistoryError) as refused:
        ask()
    assert text in refused.value.what
    assert refused.value.where is not None
    assert refused.value.where.startswith(f"gs://ours/loopctl/team/{LOOP}/{ENV}")
    assert refused.value.hint == (
        "gcloud storage buckets add-iam-policy-binding gs://ours"
        " --member=serviceAccount:ci@p.iam.gserviceaccount.com --role=roles/storage.objectUser"
    )
    assert len(rig.server.calls) == 1, "asking again does not help"


@pytest.mark.parametrize(
    ("message", "hint"),
    [
        (
            "ana@example.test does not have storage.objects.get access to the object.",
            "--member=user:ana@example.test",
        ),
        (
            "Anonymous caller does not have storage.objects.list access to the bucket.",
            "gcloud auth application-default login",
        ),
        (
            "Cloud Storage JSON API has not been used in project 42 before or it is disabled.",
            "gcloud services enable storage.googleapis.com --project 42",
        ),
        ("Object 'a' is subject to bucket's retention policy.", "objects may be replaced"),
    ],
)
def test_each_refusal_has_its_own_way_out(
    rig: BucketRig, history: BucketHistory, stop: Stop, message: str, hint: str
) -> None:
    rig.server.troubles.append(Trouble("refuse", status=403, message=message))
    with pytest.raises(HistoryError) as refused:
        history.recent(LOOP, ENV, 9, stop)
    assert hint in str(refused.value.hint)


def test_a_bucket_that_does_not_exist_is_told_with_the_command_that_makes_it(
    rig: BucketRig, stop: Stop
) -> None:
    history = BucketHistory(rig.client(BucketPlace("theirs", "x")))
    for ask in (
        lambda: history.recent(LOOP, ENV, 9, stop),
        lambda: history.put(a_run(1, a=P), stop),
    ):
        with pytest.raises(HistoryError, match="The specified bucket does not exist") as refused:
            ask()
        assert refused.value.hint is not None
        assert refused.value.hint.startswith("gcloud storage buckets create gs://theirs")


@pytest.mark.slow
def test_a_server_that_is_not_there_is_told_in_one_line(stop: Stop) -> None:
    with environment(STORAGE_EMULATOR_HOST="127.0.0.1:9"):
        client = BucketClient(PLACE)
        with pytest.raises(HistoryError, match="Cloud Storage does not answer") as refused:
            BucketHistory(client).recent(LOOP, ENV, 9, stop)
        client.close()
    assert "\n" not in refused.value.what
    assert "STORAGE_EMULATOR_HOST" in str(refused.value.hint)


@pytest.mark.parametrize("host", ["http://127.0.0.1:1/path", "ftp://x", "http://[::1"])
def test_an_emulator_that_no_address_is_of_is_told(stop: Stop, host: str) -> None:
    with (
        environment(STORAGE_EMULATOR_HOST=host),
        pytest.raises(HistoryError, match="is no endpoint"),
    ):
        BucketHistory(BucketClient(PLACE)).recent(LOOP, ENV, 9, stop)


def test_no_credentials_are_told_with_the_command_that_brings_some(
    stop: Stop, tmp_path_factory: pytest.TempPathFactory
) -> None:
    home = str(tmp_path_factory.mktemp("home"))
    with (
        environment(
            STORAGE_EMULATOR_HOST="",
            GOOGLE_APPLICATION_CREDENTIALS="/no/such/file.json",
            HOME=home,
        ),
        pytest.raises(HistoryError, match="no usable Google credentials") as refused,
    ):
        BucketHistory(BucketClient(PLACE)).recent(LOOP, ENV, 9, stop)
    assert refused.value.hint == "gcloud auth application-default login"


def test_a_server_that_never_answers_is_left_when_the_time_is_up(
    rig: BucketRig, history: BucketHistory
) -> None:
    rig.server.troubles.append(Trouble("hang", times=9))
    began = time.monotonic()
    with pytest.raises(Stopped):
        history.recent(LOOP, ENV, 9, Stop(0.4))
    assert time.monotonic() - began < 3


def test_a_pause_before_another_try_ends_when_somebody_stops(
    rig: BucketRig, history: BucketHistory
) -> None:
    rig.server.troubles.append(Trouble("refuse", times=9))
    stop = Stop()

    def give_up() -> None:
        wait_for(lambda: bool(rig.server.calls))
        stop.stop("SIGINT")

    waiting = threading.Thread(target=give_up)
    waiting.start()
    with pytest.raises(Stopped):
        history.recent(LOOP, ENV, 9, stop)
    waiting.join()
    assert len(rig.server.calls) < 4


def test_two_that_write_one_run_at_once_leave_one_whole_record(rig: BucketRig, stop: Stop) -> None:
    histories = [BucketHistory(rig.client()) for _ in range(4)]
    records = [a_run(1, **{name: P}) for name in "abcd"]
    failed: list[HistoryError] = []

    def put(number: int) -> None:
        try:
            histories[number].put(records[number], stop)
        except HistoryError as error:
            failed.append(error)

    threads = [threading.Thread(target=put, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [kept] = histories[0].recent(LOOP, ENV, 9, stop)
    assert kept in records
    assert failed == []
