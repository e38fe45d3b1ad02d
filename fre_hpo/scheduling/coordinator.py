"""The coordinator: owns everything about a search that must last (design 2).

Its loop carries out what the state machine decides and has written down what the workers report.  While
the storage is out of reach or the disk is full, training goes on and reports wait in memory.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from fre_hpo.errors import DiskFull, EndedElsewhere, StorageUnreachable, StoreUnreachable
from fre_hpo.scheduling.archive import NETWORKS_KEPT, Archive
from fre_hpo.scheduling.clock import Clock
from fre_hpo.scheduling.custody import Custody
from fre_hpo.scheduling.executor import Executor
from fre_hpo.scheduling.inbox import Inbox
from fre_hpo.scheduling.journal import Journal
from fre_hpo.scheduling.launcher import Launcher
from fre_hpo.scheduling.live import Live
from fre_hpo.scheduling.observer import Observer
from fre_hpo.scheduling.obstacle import STOPPING_SECONDS, Obstacle
from fre_hpo.scheduling.publisher import Guarded, NoPublisher, Publisher
from fre_hpo.scheduling.recorder import Recorder
from fre_hpo.scheduling.shared import SharedCheckpoints
from fre_hpo.scheduling.state import Ask, Dispatch, End, Outcome, Search, Wait
from fre_hpo.study import fault
from fre_hpo.study.folder import StudyFolder
from fre_hpo.study.ledger import Ledger
from fre_hpo.study.lock import CoordinatorLock
from fre_hpo.study.order import Wish
from fre_hpo.trial import StopFlag

POLL_SECONDS = 0.5
TEND_SECONDS = 1.0


@dataclass(frozen=True)
class Plan:
    """What a start asks for: the total of complete trials, the seconds that the study may run in all
    (None: no limit), how often a trial may lose its worker, how many seconds a lost storage is
    waited for, how many trials may be trained at once (None: as many as there is room for)."""

    wanted: int
    seconds: float | None
    retries: int
    patience: float
    parallel: int | None = None


class Coordinator:
    """One run of a search, from the first decision to the last; the study is locked and taken over."""

    def __init__(
        self,
        ledger: Ledger,
        folder: StudyFolder,
        executor: Executor,
        lock: CoordinatorLock,
        plan: Plan,
        stop: StopFlag,
        observer: Observer,
        publisher: Publisher | None = None,
        clock: Clock | None = None,
        shared: SharedCheckpoints | None = None,
    ) -> None:
        self._ledger = ledger
        self._executor = executor
        self._plan = plan
        self._stop = stop
        self._clock = clock or Clock()
        self._custody = Custody(ledger, lock, self._clock)
        kept = NETWORKS_KEPT if ledger.spec.searched else None
        self._archive = Archive(folder, ledger.charter.classes, kept, shared)
        self._journal = Journal(ledger, folder, observer, self._clock, self._first_view())
        self._publisher = Guarded(publisher or NoPublisher(), self._journal)
        self._recorder = Recorder(ledger, self._archive, self._journal, self._publisher)
        self._launcher = Launcher(ledger, self._archive, self._journal, self._recorder, executor)
        self._search = Search(plan.wanted, self._journal.live.slots, plan.retries)
        self._inbox = Inbox()
        self._told_elsewhere: dict[int, str] = {}
        self._at_once = False
        self._obstacle: Obstacle | None = None
        self._began = False
        self._tended = -TEND_SECONDS

    def _first_view(self) -> Live:
        earlier = Live.from_plain(self._ledger.live) if self._ledger.live else None
        return Live(
            state="running",
            wanted=self._plan.wanted,
            complete=0,
            failed=0,
            slots=self._slots(self._plan.wanted),
            elapsed=earlier.elapsed if earlier else 0.0,
            epochs=self._ledger.spec.training.epochs,
            happenings=earlier.happenings if earlier else (),
        )

    @property
    def complete(self) -> int:
        """The trials that count towards the total, over all starts."""
        return self._search.complete

    # --- the loop -------------------------------------------------------------------------------

    def run(self) -> Outcome:
        """Search until the total is reached or a reason to halt.

        Raises StorageUnreachable when the storage stays away for longer than the plan's patience,
        LockLost when another coordinator took over, StudyGone, ClusterLost.
        """
        while True:
            try:
                outcome = self._step()
            except (StorageUnreachable, StoreUnreachable, DiskFull) as error:
                self._meet(error)
            except EndedElsewhere as ended:
                self._told_elsewhere[ended.facts["number"]] = ended.facts["state"]
            else:
                if outcome:
                    return outcome

    def _step(self) -> Outcome | None:
        """One turn of the loop; the outcome once all is done and written."""
        if self._obstacle:
            if self._clock.now() >= self._obstacle.next_try:
                self._try_again(self._obstacle)
            else:
                self._collect()
                self._tell_of(self._obstacle)
            return None
        self._custody.assure()
        if not self._began:
            self._begin()
        self._let_go()
        self._empty_inbox()
        self._tend()
        if self._at_once:
            self._cancel_running()
        match self._search.decide():
            case End(outcome):
                self._recorder.wrap_up()
                self._finish(outcome)
                return outcome
            case Ask():
                self._search = self._launcher.ask(self._search)
            case Dispatch() as dispatch:
                self._search = self._launcher.dispatch(self._search, dispatch)
            case Wait():
                self._recorder.wrap_up()  # drawn while all slots train
                self._collect()
        return None

    def _collect(self) -> None:
        """Wait for reports."""
        arrivals = self._executor.poll(POLL_SECONDS)
        for arrival in arrivals:
            self._inbox.add(arrival)
        if not arrivals and (self._obstacle or not self._search.running):
            self._clock.sleep(POLL_SECONDS)

    def _empty_inbox(self) -> None:
        while self._inbox:
            self._custody.assure()
            halting = self._search.halting
            self._search = self._recorder.receive(self._search, self._inbox.first)
            self._inbox.drop_first()
            if self._search.halting is not halting:
                self._stop_running()

    def _finish(self, outcome: Outcome) -> None:
        self._launcher.put_back(self._search)
        state = "finished" if outcome is Outcome.COMPLETE else "stopped"
        self._journal.change(state=state, message=None)
        self._publisher.study_changed(state)
        self._journal.publish(now=True)
        facts = {"outcome": outcome.value, "complete": self._search.complete}
        self._journal.log("study_finished", **facts)
        fault.point("finished")

    def _begin(self) -> None:
        """Count what is there; what runs or waits with parameters was left by an earlier run."""
        records = self._ledger.records()
        self._search = self._launcher.count(self._search, records)
        self._journal.publish(now=True)
        self._archive.tidy(records)
        live = self._journal.live
        self._journal.log(
            "study_started",
            study=self._ledger.name,
            wanted=self._plan.wanted,
            complete=live.complete,
            placement=str(self._executor.placement),
            host=live.host,
            pid=live.pid,
        )
        self._recorder.log_untold(records)
        self._publisher.study_changed("running")
        self._began = True
        self._search = self._launcher.adopt(self._search, records)

    # --- what others want -----------------------------------------------------------------------

    def _tend(self) -> None:
        """Once a second: what was asked of us, trials ended by others, room for more, time."""
        hurry = self._stop.raised and not self._search.halting
        if self._clock.now() - self._tended < TEND_SECONDS and not hurry:
            return
        self._heed(self._ledger.order.wish)
        self._heed_stop_and_time()
        self._find_ended_elsewhere()
        self._heed_workers()
        self._journal.publish()
        self._tended = self._clock.now()

    def _heed_workers(self) -> None:
        """Workers come and go, and other searches want their share."""
        slots = self._slots(self._search.demand)
        for sentence in self._executor.news():
            self._journal.log("workers_changed", text=sentence)
            self._journal.say(sentence)
        if slots != self._search.slots:
            self._search = self._search.with_slots(slots)
            self._journal.change(slots=slots)
        for number in self._executor.displaced():
            self._executor.stop(number)

    def _slots(self, demand: int) -> int:
        most = self._plan.parallel
        room = self._executor.capacity(demand if most is None else min(demand, most))
        return room if most is None else min(room, most)

    def _heed(self, wish: Wish) -> None:
        if wish is Wish.STOP_NOW and not self._at_once:
            self._journal.say(_STOPPING_NOW)
            self._search = self._search.halt(Outcome.STOPPED)
            self._at_once = True
        if self._search.halting:
            return
        paused = wish is Wish.PAUSE
        if wish is Wish.STOP:
            self._halt(Outcome.STOPPED)
        elif paused is not self._search.paused:
            self._journal.log("study_paused" if paused else "study_resumed")
            self._journal.say(_PAUSED if paused else "The search goes on.")
            self._search = self._search.pause(paused)
            self._journal.change(state="paused" if paused else "running")
            self._journal.publish(now=True)

    def _heed_stop_and_time(self) -> None:
        if self._search.halting:
            return
        if self._stop.raised:
            self._halt(Outcome.STOPPED)
        elif self._plan.seconds is not None and self._journal.elapsed >= self._plan.seconds:
            self._halt(Outcome.OUT_OF_TIME)

    def _halt(self, outcome: Outcome) -> None:
        if outcome is Outcome.STOPPED:
            self._journal.say(_STOPPING)
        self._search = self._search.halt(outcome)
        self._stop_running()

    def _stop_running(self) -> None:
        for number in self._search.running:
            self._executor.stop(number)

    def _cancel_running(self) -> None:
        for number, attempt in dict(self._search.running).items():
            self._executor.cancel(number)
            self._search = self._recorder.put_back(self._search, number, attempt)

    def _find_ended_elsewhere(self) -> None:
        states = self._ledger.states()
        for number in (*self._search.running, *self._search.queued):
            if states[number] not in ("RUNNING", "WAITING"):
                self._told_elsewhere[number] = states[number]

    def _let_go(self) -> None:
        """Somebody else ended a trial: whatever still trains it is for nothing."""
        for number, state in self._told_elsewhere.items():
            if self._search.knows(number):
                self._executor.cancel(number)
                self._search = self._recorder.ended_elsewhere(self._search, number, state)
        self._told_elsewhere.clear()

    # --- obstacles ------------------------------------------------------------------------------

    def _meet(self, error: StorageUnreachable | StoreUnreachable | DiskFull) -> None:
        """Write nothing for now; give up when it has been so for too long."""
        now = self._clock.now()
        if self._obstacle and type(self._obstacle.error) is type(error):
            self._obstacle = self._obstacle.again(error, now)
        else:
            self._obstacle = Obstacle.met(error, now)
            self._search = self._search.storage(writable=False)
            sentence = self._obstacle.sentence(self._plan.patience)
            self._journal.say(sentence)
            self._journal.change(state="paused", message=sentence)
        stopping = self._stop.raised and now - self._obstacle.since > STOPPING_SECONDS
        if stopping or self._obstacle.is_hopeless(now, self._plan.patience):
            raise error

    def _tell_of(self, obstacle: Obstacle) -> None:
        """A full disk can be told in the storage, unless that lies on it, too."""
        if not isinstance(obstacle.error, StorageUnreachable):
            with contextlib.suppress(StorageUnreachable, DiskFull):
                self._custody.assure()
                self._journal.publish()

    def _try_again(self, obstacle: Obstacle) -> None:
        """Raises what is met again; otherwise all that waited is written, and the search goes on."""
        if isinstance(obstacle.error, StorageUnreachable):
            self._custody.regain()
        self._custody.assure()
        if self._began:
            self._search = self._launcher.adopt(self._search, self._ledger.records())
        self._let_go()
        self._empty_inbox()
        self._recorder.wrap_up()
        self._archive.look_again()
        self._obstacle = None
        self._search = self._search.storage(writable=True)
        self._journal.change(state="paused" if self._search.paused else "running", message=None)
        seconds = round(self._clock.now() - obstacle.since)
        self._journal.say(obstacle.end_sentence(seconds))
        self._journal.log(obstacle.event, seconds=seconds)


_PAUSED = "The search is paused: running trials go on to their end, and nothing new is begun."
_STOPPING = "Stopping when the running epochs end; a second Ctrl-C ends at once."
_STOPPING_NOW = "Stopping at once; every trial goes on later from its last checkpoint."
