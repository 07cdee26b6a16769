"""The instances of revisions: started when needed, watched, and stopped."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from emulator import run_probe
from emulator import run_texts as texts
from emulator.run_conditions import Failure
from emulator.run_entries import Entries
from emulator.run_messages import CommonReason, RevisionPb, RevisionReason
from emulator.run_names import Place, service_of, short
from emulator.run_output import Lines, Written
from emulator.run_runtime import (
    GRACE_S,
    End,
    ExecFailed,
    ImageTrouble,
    Instance,
    InstanceSpec,
    Output,
    Runtime,
)
from emulator.run_template import ingress, is_default_probe, memory_bytes

_MIB: Final = 2**20
_LOOK_S: Final = 0.05
_HURRY_S: Final = 1.0


class NotStarted(Exception):
    """An instance did not come up; what is wrong was logged."""


@dataclass(slots=True)
class _Running:
    """An instance, and whether it was asked to end."""

    instance: Instance
    id: str
    leaving: bool = False

    @property
    def alive(self) -> bool:
        return not self.leaving and not self.instance.ended.is_set()

    def stop(self, grace_s: float = GRACE_S) -> None:
        self.leaving = True
        self.instance.stop(grace_s)


@dataclass(slots=True)
class _Instances:
    """The instances of a revision: one at most."""

    starting: threading.Lock = field(default_factory=threading.Lock)
    running: _Running | None = None
    gone: bool = False


class Fleet:
    """Starts no more than one instance per revision. `time_scale` multiplies a probe's times."""

    def __init__(self, place: Place, runtime: Runtime, entries: Entries, time_scale: float) -> None:
        self._place = place
        self._runtime = runtime
        self._entries = entries
        self._scale = time_scale
        self._of: dict[str, _Instances] = {}
        self._watchers: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._stopped = False

    def resolve(self, image: str) -> str:
        """The image by digest. Raises `ImageTrouble`."""
        return self._runtime.resolve(image)

    def deploy(self, revision: RevisionPb, env: Mapping[str, str]) -> Failure | None:
        """Start the first instance; why it failed, None where it is healthy."""
        instances = self._instances(revision.name)
        with instances.starting:
            return self._start(instances, revision, env, texts.STARTING)

    def instance(self, revision: RevisionPb, env: Mapping[str, str]) -> Instance:
        """A healthy instance, started if there is none. Raises `NotStarted`."""
        instances = self._instances(revision.name)
        with instances.starting:
            alive = instances.running is not None and instances.running.alive
            if not alive and self._start(instances, revision, env, texts.SCALING) is not None:
                raise NotStarted(revision.name)
            assert instances.running is not None
            return instances.running.instance

    def scale_to_zero(self, revision: str) -> None:
        """Stop what runs of a revision, as after a quarter of an hour without requests."""
        self._stop(self._instances(revision))

    def remove(self, revision: str) -> None:
        """Stop what runs of a revision that is deleted."""
        instances = self._instances(revision)
        instances.gone = True
        self._stop(instances)

    def close(self) -> None:
        """Stop everything, all at the same time, and without much patience."""
        self._stopped = True
        with self._lock:
            everyone = list(self._of.values())
        threads = [
            threading.Thread(target=self._stop, args=(each, _HURRY_S), name="emulator-stop")
            for each in everyone
        ]
        for thread in threads:
            thread.start()
        for thread in (*threads, *self._watchers):
            thread.join()

    def _instances(self, revision: str) -> _Instances:
        with self._lock:
            return self._of.setdefault(revision, _Instances())

    def _stop(self, instances: _Instances, grace_s: float = GRACE_S) -> None:
        # A start that is under way ends when its instance does.
        while not instances.starting.acquire(timeout=_LOOK_S):
            if (running := instances.running) is not None:
                running.stop(grace_s)
        try:
            if instances.running is not None:
                instances.running.stop(grace_s)
                instances.running = None
        finally:
            instances.starting.release()

    def _start(
        self, instances: _Instances, revision: RevisionPb, env: Mapping[str, str], why: str
    ) -> Failure | None:
        if instances.gone or self._stopped:
            return Failure("The revision is deleted.", RevisionReason.NO_DEPLOYMENT)
        instance_id = uuid.uuid4().hex
        self._entries.system(revision.name, "INFO", why, instance_id)
        output = self._output(revision.name, instance_id)
        try:
            started = self._runtime.start(_spec(revision, env), output)
        except ExecFailed as error:
            return self._never_ran(revision, texts.exec_failed(str(error)), instance_id)
        except ImageTrouble as trouble:
            return Failure(texts.image_absent(trouble.image), CommonReason.CONTAINER_MISSING)
        instances.running = _Running(started, instance_id)
        failure = self._probe(revision, started, instance_id)
        if failure is not None:
            instances.running.stop()
            instances.running = None
            return failure
        self._watch(revision, instances.running)
        return None

    def _probe(self, revision: RevisionPb, started: Instance, instance_id: str) -> Failure | None:
        probe = run_probe.probe_of(revision, self._scale)
        probed = run_probe.run(probe, started)
        if probed.passed:
            told = probe.passed(probed.attempts)
            self._entries.system(revision.name, "INFO", told, instance_id)
            return None
        if started.end is not None:
            self._tell_end(revision, started.end, instance_id)
        told = probe.failed(probed.attempts, died=started.ended.is_set())
        self._entries.system(revision.name, "ERROR", told, instance_id)
        return self._unhealthy(revision)

    def _never_ran(self, revision: RevisionPb, text: str, instance_id: str) -> Failure:
        self._entries.system(revision.name, "ERROR", text, instance_id)
        told = run_probe.probe_of(revision, self._scale).failed(1, died=True)
        self._entries.system(revision.name, "ERROR", told, instance_id)
        return self._unhealthy(revision)

    def _unhealthy(self, revision: RevisionPb) -> Failure:
        service_id, own = short(service_of(revision.name)), short(revision.name)
        container = ingress(revision)
        if is_default_probe(container):
            port = container.ports[0].container_port
            text = texts.no_listener(self._place, service_id, own, port)
        else:
            text = texts.probe_failed(self._place, service_id, own)
        return Failure(text, RevisionReason.HEALTH_CHECK_CONTAINER_ERROR, contained=True)

    def _tell_end(self, revision: RevisionPb, end: End, instance_id: str) -> None:
        if end.out_of_memory_mib is not None:
            limit = memory_bytes(ingress(revision)) // _MIB
            text = texts.out_of_memory(limit, end.out_of_memory_mib)
            self._entries.system(revision.name, "ERROR", text, instance_id)
            return
        text = texts.called_exit(end.code) if end.code >= 0 else texts.signalled(-end.code)
        self._entries.system(revision.name, "WARNING", text, instance_id)

    def _watch(self, revision: RevisionPb, running: _Running) -> None:
        """Tell of an end that nobody asked for."""

        def watch() -> None:
            running.instance.ended.wait()
            if running.instance.end is not None and not running.leaving:
                self._tell_end(revision, running.instance.end, running.id)

        thread = threading.Thread(target=watch, name="emulator-watch")
        self._watchers.append(thread)
        thread.start()

    def _output(self, revision: str, instance_id: str) -> Output:
        def told(stream: str) -> Callable[[Written], None]:
            return lambda written: self._entries.line(revision, stream, written, instance_id)

        streams = {name: Lines(told(name)) for name in ("stdout", "stderr")}

        def take(stream: str, line: bytes | None) -> None:
            if line is None:
                streams[stream].flush()
            else:
                streams[stream].take(line, self._entries.now(whole_microseconds=True))

        return take


def _spec(revision: RevisionPb, env: Mapping[str, str]) -> InstanceSpec:
    container = ingress(revision)
    service_id = short(service_of(revision.name))
    port = container.ports[0].container_port
    own = {
        "PORT": str(port),
        "K_SERVICE": service_id,
        "K_REVISION": short(revision.name),
        "K_CONFIGURATION": service_id,
    }
    return InstanceSpec(
        service=service_id,
        revision=short(revision.name),
        image=container.image,
        port=port,
        memory=memory_bytes(container),
        command=tuple(container.command),
        args=tuple(container.args),
        env={**env, **own},
    )
