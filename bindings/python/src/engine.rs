//! The engine: every command and every read.

use disband::{Command, GroupId, GroupOptions, Operation, Rank, Seq, Stint, UserId};
use disband_dynamic::{AnyOutcome, Format, Kept, Text};
use pyo3::exceptions::{PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyDict, PyInt, PyIterator, PyList, PyString, PyTuple, PyType};
use pythonize::pythonize;

use crate::argument::{Data, Name, Named, Number, Time, Words};
use crate::command::{Ask, command as ask};
use crate::group::{AnyGroup, Group, entries, page};
use crate::ids::{PyId, each, each_to};
use crate::outcome::Outcome;
use crate::python::{BATCH, CONFIG, VIEWS};
use crate::read;
use crate::reclaim::{Freed, Losses};
use crate::refusal::refused;
use crate::run;
use crate::slot::Slot;
use crate::walk::walk;

/// All groups with their members and logs, and the commands on them.
///
/// `ids` is the type of all ids, of users and of groups: `int` (from 0 to 2**64 - 1) or `str`.
///
/// A command takes the user who acts, the group, further arguments, and the time, in this order. `now` is
/// in milliseconds since an epoch of your choice. A command returns an `Outcome` with the signals to
/// deliver, or raises a `Refused`. A refused command changes nothing that can be seen of groups,
/// memberships, logs, bans and mutes.
///
/// Several threads may use one engine: a command waits until the one before it is done.
#[pyclass(frozen, generic, module = "disband._native")]
pub(crate) struct Engine {
    slot: AnySlot,
    losses: Losses,
}

enum AnySlot {
    Numbers(Slot<UserId, GroupId>),
    Text(Slot<Text, Text>),
}

/// A user or a group, of a type that the engine does not know yet.
type Id<'py> = Bound<'py, PyAny>;

impl Engine {
    fn of(slot: AnySlot) -> Self {
        Engine { slot, losses: Losses::new() }
    }

    fn run(&self, py: Python<'_>, command: Ask<'_>, now: Time) -> PyResult<Outcome> {
        let since = self.losses.since();
        let outcome =
            each_to!(&self.slot, AnySlot(slot) => AnyOutcome(run::run(py, slot, command, now)?));
        self.losses.count(&outcome);
        Outcome::new(py, outcome, since)
    }
}

#[pymethods]
impl Engine {
    #[new]
    #[pyo3(signature = (ids, config=None))]
    fn new(ids: &Bound<'_, PyAny>, config: Option<Data<disband::Config>>) -> PyResult<Self> {
        let config = config.map(|Data(config)| config).unwrap_or_default();
        Ok(Engine::of(if numbers(ids)? {
            AnySlot::Numbers(Slot::new(disband::Engine::new(config)))
        } else {
            AnySlot::Text(Slot::new(disband::Engine::new(config)))
        }))
    }

    /// Reads a snapshot that `save` wrote, and verifies it. O(size), without the GIL. `ValueError` if the
    /// bytes are no snapshot with such ids.
    ///
    /// A snapshot does not say the type of its ids, so `ids` must be the type that they had. In JSON all
    /// ids are strings: ids of decimal digits can be read as either type.
    #[staticmethod]
    #[pyo3(signature = (ids, data, format="postcard"))]
    fn load(
        py: Python<'_>,
        ids: &Bound<'_, PyAny>,
        data: PyBackedBytes,
        format: &str,
    ) -> PyResult<Self> {
        let format = format_named(format)?;
        Ok(Engine::of(if numbers(ids)? {
            AnySlot::Numbers(load(py, &data, format)?)
        } else {
            AnySlot::Text(load(py, &data, format)?)
        }))
    }

    /// Creates a group with `owner` as its first member. `value` is their stint: the number of this
    /// membership. O(log N).
    ///
    /// Signals: none.
    ///
    /// Refused as: 429 `TooFast`; 409 `GroupExists`, `IdReserved`; 413 `OverLimit`.
    #[pyo3(signature = (owner, group, now, options=None))]
    fn create<'py>(
        &self,
        py: Python<'py>,
        owner: Id<'py>,
        group: Id<'py>,
        now: Time,
        options: Option<Data<GroupOptions>>,
    ) -> PyResult<Outcome> {
        let options = options.map(|Data(options)| options);
        self.run(py, Command::Create { owner, group, options }, now)
    }

    /// Makes `user` a member. `value` is their stint. O(log N).
    ///
    /// Signals: `MemberJoin` to the other members; in a quiet group, to the owner and the admins.
    ///
    /// Refused as: 429 `TooFast`; 404 `NoSuchGroup`, `Dissolved`; 403 `Banned`, `Closed`;
    /// 409 `AlreadyMember`; 413 `OverLimit`.
    fn join<'py>(
        &self,
        py: Python<'py>,
        user: Id<'py>,
        group: Id<'py>,
        now: Time,
    ) -> PyResult<Outcome> {
        self.run(py, Command::Join { user, group }, now)
    }

    /// `by` makes `user` a member, in open and closed groups alike. `value` is the stint of `user`.
    /// O(log N).
    ///
    /// Signals: `MemberJoin` from `user`, to every member but `by`; in a quiet group, to `user` and to the
    /// owner and the admins but `by`.
    ///
    /// Refused as: 429 `TooFast`; 404 `NoSuchGroup`, `Dissolved`; 400 `NotMember`; 403 `NotAdmin`,
    /// `NotOwner`; 409 `AlreadyMember`, `TargetBanned`; 413 `OverLimit`.
    fn add<'py>(
        &self,
        py: Python<'py>,
        by: Id<'py>,
        group: Id<'py>,
        user: Id<'py>,
        now: Time,
    ) -> PyResult<Outcome> {
        self.run(py, Command::Add { by, group, user }, now)
    }

    /// Ends the membership of `user`; with a `stint`, only if it is their present one. `value` is a
    /// `Left`, a `Succeeded` or, if the user owned the group and it was dissolved, a `Dissolved`.
    /// O(log N) for a group of any size.
    ///
    /// Signals: `MemberLeave` to the remaining members (in a quiet group, of a plain member, to the owner
    /// and the admins), and `OwnerChange` if an admin becomes the owner;
    /// or, if the group is dissolved, `MemberKick` and then `HistoryPurge` to every other member.
    ///
    /// Refused as: 429 `TooFast`; 404 `NoSuchGroup`, `Dissolved`; 400 `NotMember`; 409 `OwnerMustStay`.
    #[pyo3(signature = (user, group, now, stint=None))]
    fn leave<'py>(
        &self,
        py: Python<'py>,
        user: Id<'py>,
        group: Id<'py>,
        now: Time,
        stint: Option<Number>,
    ) -> PyResult<Outcome> {
        let stint = stint.map(|Number(stint)| Stint(stint));
        self.run(py, Command::Leave { user, group, stint }, now)
    }

    /// Ends every membership of `user`. `value` is a tuple of pairs of a group and what happened to it, as
    /// for `leave`, in the order of joining. Where the owner's leaving would be refused, an admin becomes
    /// the owner, or the group is dissolved. O(log N) for each group.
    ///
    /// Signals: those of each leave, group by group.
    ///
    /// Refused as: 429 `TooFast`.
    fn leave_all<'py>(&self, py: Python<'py>, user: Id<'py>, now: Time) -> PyResult<Outcome> {
        self.run(py, Command::LeaveAll { user }, now)
    }

    /// Appends a message to the log. `value` is the number of its entry. O(log N + log² n).
    ///
    /// Signals: `MessagePost` to the other members.
    ///
    /// Refused as: 429 `TooFast`; 404 `NoSuchGroup`, `Dissolved`; 400 `NotMember`; 403 `NotAdmin`,
    /// `NotOwner`, `Muted`; 413 `OverLimit`.
    fn post<'py>(
        &self,
        py: Python<'py>,
        author: Id<'py>,
        group: Id<'py>,
        message: Words,
        now: Time,
    ) -> PyResult<Outcome> {
        self.run(py, Command::Post { author, group, message: message.0 }, now)
    }

    /// Replaces the text of the author's own message. O(log N + log² n).
    ///
    /// Signals: `MessageEdit` to the other members.
    ///
    /// Refused as: 429 `TooFast`; 404 `NoSuchGroup`, `Dissolved`; 400 `NotMember`; 404 `NoSuchEntry`;
    /// 403 `Muted`, `NotAuthor`; 409 `AlreadyErased`; 413 `OverLimit`.
    fn edit<'py>(
        &self,
        py: Python<'py>,
        author: Id<'py>,
        group: Id<'py>,
        seq: Number,
        message: Words,
        now: Time,
    ) -> PyResult<Outcome> {
        self.run(py, Command::Edit { author, group, seq: Seq(seq.0), message: message.0 }, now)
    }

    /// Removes the text of a message: of one's own, or as a member of higher rank than its author.
    /// O(log N + log² n).
    ///
    /// Signals: `MessageErase` from `by`, to the other members.
    ///
    /// Refused as: 429 `TooFast`; 404 `NoSuchGroup`, `Dissolved`; 400 `NotMember`; 404 `NoSuchEntry`;
    /// 403 `NotAuthor`, `Outranked`; 409 `AlreadyErased`.
    fn erase<'py>(
        &self,
        py: Python<'py>,
        by: Id<'py>,
        group: Id<'py>,
        seq: Number,
        now: Time,
    ) -> PyResult<Outcome> {
        self.run(py, Command::Erase { by, group, seq: Seq(seq.0) }, now)
    }

    /// Ends the membership of `user`, who must have a lower rank than `by`. `value` is the stint that
    /// ended. O(log N).
    ///
    /// Signals: `MemberKick` from `user`, to the remaining members and `user`; in a quiet group, of a plain
    /// member, to the owner, the admins and `user`.
    ///
    /// Refused as: 429 `TooFast`; 404 `NoSuchGroup`, `Dissolved`; 400 `NotMember`; 403 `NotAdmin`,
    /// `Outranked`; 400 `TargetNotMember`.
    fn kick<'py>(
        &self,
        py: Python<'py>,
        by: Id<'py>,
        group: Id<'py>,
        user: Id<'py>,
        now: Time,
    ) -> PyResult<Outcome> {
        self.run(py, Command::Kick { by, group, user }, now)
    }

    /// Forbids `user` to join until `until`, or until the ban is lifted. A member is kicked; `value` is the
    /// stint that ended, or `None`. O(log N).
    ///
    /// Signals: if `user` was a member, `MemberKick` as for `kick`.
    ///
    /// Refused as: 429 `TooFast`; 404 `NoSuchGroup`, `Dissolved`; 400 `NotMember`; 403 `NotAdmin`,
    /// `Outranked`; 409 `AlreadyExpired`; 413 `OverLimit`.
    #[pyo3(signature = (by, group, user, now, until=None))]
    fn ban<'py>(
        &self,
        py: Python<'py>,
        by: Id<'py>,
        group: Id<'py>,
        user: Id<'py>,
        now: Time,
        until: Option<Time>,
    ) -> PyResult<Outcome> {
        let until = until.map(|Time(until)| until);
        self.run(py, Command::Ban { by, group, user, until }, now)
    }

    /// Lifts a ban. Any admin may lift any ban. O(log N).
    ///
    /// Signals: none.
    ///
    /// Refused as: 429 `TooFast`; 404 `NoSuchGroup`, `Dissolved`; 400 `NotMember`; 403 `NotAdmin`;
    /// 409 `NotBanned`.
    fn unban<'py>(
        &self,
        py: Python<'py>,
        by: Id<'py>,
        group: Id<'py>,
        user: Id<'py>,
        now: Time,
    ) -> PyResult<Outcome> {
        self.run(py, Command::Unban { by, group, user }, now)
    }

    /// Forbids `user`, who need not be a member, to post and to edit until `until`, or until the mute is
    /// lifted. O(log N).
    ///
    /// Signals: `Mute` from `user`, to every member, if `user` is one.
    ///
    /// Refused as: 429 `TooFast`; 404 `NoSuchGroup`, `Dissolved`; 400 `NotMember`; 403 `NotAdmin`,
    /// `Outranked`; 409 `AlreadyExpired`; 413 `OverLimit`.
    #[pyo3(signature = (by, group, user, now, until=None))]
    fn mute<'py>(
        &self,
        py: Python<'py>,
        by: Id<'py>,
        group: Id<'py>,
        user: Id<'py>,
        now: Time,
        until: Option<Time>,
    ) -> PyResult<Outcome> {
        let until = until.map(|Time(until)| until);
        self.run(py, Command::Mute { by, group, user, until }, now)
    }

    /// Lifts a mute. It needs the same rank as `mute`. O(log N).
    ///
    /// Signals: `Unmute` from `user`, to every member, if `user` is one.
    ///
    /// Refused as: 429 `TooFast`; 404 `NoSuchGroup`, `Dissolved`; 400 `NotMember`; 403 `NotAdmin`,
    /// `Outranked`; 409 `NotMuted`.
    fn unmute<'py>(
        &self,
        py: Python<'py>,
        by: Id<'py>,
        group: Id<'py>,
        user: Id<'py>,
        now: Time,
    ) -> PyResult<Outcome> {
        self.run(py, Command::Unmute { by, group, user }, now)
    }

    /// Makes a member an admin, or an admin a plain member. O(log N).
    ///
    /// Signals: `RankChange` from `user`, to every member.
    ///
    /// Refused as: 429 `TooFast`; 404 `NoSuchGroup`, `Dissolved`; 400 `NotMember`; 403 `NotOwner`,
    /// `Outranked`; 400 `TargetNotMember`; 409 `AlreadyRanked`.
    fn set_rank<'py>(
        &self,
        py: Python<'py>,
        by: Id<'py>,
        group: Id<'py>,
        user: Id<'py>,
        rank: Named<Rank>,
        now: Time,
    ) -> PyResult<Outcome> {
        self.run(py, Command::SetRank { by, group, user, rank: rank.0 }, now)
    }

    /// Replaces all options of a group. O(log N + log² n).
    ///
    /// Signals: none.
    ///
    /// Refused as: 429 `TooFast`; 404 `NoSuchGroup`, `Dissolved`; 400 `NotMember`; 403 `NotOwner`.
    fn set_options<'py>(
        &self,
        py: Python<'py>,
        by: Id<'py>,
        group: Id<'py>,
        options: Data<GroupOptions>,
        now: Time,
    ) -> PyResult<Outcome> {
        self.run(py, Command::SetOptions { by, group, options: options.0 }, now)
    }

    /// Makes `user` the owner. The previous owner becomes an admin. O(log N).
    ///
    /// Signals: `OwnerChange` from `user`, to every member.
    ///
    /// Refused as: 429 `TooFast`; 404 `NoSuchGroup`, `Dissolved`; 400 `NotMember`; 403 `NotOwner`;
    /// 400 `TargetNotMember`; 409 `AlreadyOwner`.
    fn transfer<'py>(
        &self,
        py: Python<'py>,
        owner: Id<'py>,
        group: Id<'py>,
        user: Id<'py>,
        now: Time,
    ) -> PyResult<Outcome> {
        self.run(py, Command::Transfer { owner, group, user }, now)
    }

    /// Dissolves a group, also if its `OwnerExit` would not. `value` is a `Dissolved` with all that was in
    /// it. Users who later send a command to the group get the note and the successor with the refusal.
    /// O(log N) for a group of any size.
    ///
    /// Signals: `MemberKick` from and by `owner`, then `HistoryPurge`, both to every other member.
    ///
    /// Refused as: 429 `TooFast`; 404 `NoSuchGroup`, `Dissolved`; 400 `NotMember`; 403 `NotOwner`;
    /// 413 `OverLimit`.
    #[pyo3(signature = (owner, group, now, note=None, successor=None))]
    fn dissolve<'py>(
        &self,
        py: Python<'py>,
        owner: Id<'py>,
        group: Id<'py>,
        now: Time,
        note: Option<Words>,
        successor: Option<Id<'py>>,
    ) -> PyResult<Outcome> {
        let note = note.map(|Words(note)| note);
        self.run(py, Command::Dissolve { owner, group, note, successor }, now)
    }

    /// Carries out a command that is given as data, an instance of a class of `disband.commands`. It does
    /// the same as the method.
    fn apply<'py>(&self, py: Python<'py>, command: Id<'py>, now: Time) -> PyResult<Outcome> {
        self.run(py, ask(&command)?, now)
    }

    /// The outcome that `apply` would have. It changes nothing. Do not deliver the signals: later signals
    /// get the same keys. O(1) more than the command.
    fn preview<'py>(&self, py: Python<'py>, command: Id<'py>, now: Time) -> PyResult<Outcome> {
        let command = ask(&command)?;
        let outcome = each_to!(&self.slot, AnySlot(slot) => AnyOutcome(run::preview(py, slot, command, now)?));
        Outcome::new(py, outcome, self.losses.since())
    }

    /// Carries out all of the commands or none of them. `value` is a tuple of the results of all. Rate
    /// limits do not apply. If a command is refused, the `Refused` has its place in `index`, and the
    /// engine is unchanged. From a thousand commands on, the GIL is released meanwhile.
    fn apply_all<'py>(&self, py: Python<'py>, commands: Id<'py>, now: Time) -> PyResult<Outcome> {
        let since = self.losses.since();
        let outcome = each_to!(&self.slot, AnySlot(slot) => AnyOutcome({
            run::apply_all(py, slot, &commands, now)?
        }));
        self.losses.count(&outcome);
        Outcome::new(py, outcome, since)
    }

    /// A `Batch`: in a `with` block it collects commands, and at the end of the block it carries out all
    /// of them or none.
    fn batch<'py>(this: Bound<'py, Self>, now: Id<'py>) -> PyResult<Bound<'py, PyAny>> {
        BATCH.make(this.py(), "Batch", (&this, now))
    }

    /// Charges the rate limit of an operation without carrying it out, for hosts that replicate commands.
    /// `group` is `None` for `leave_all`. O(log N).
    ///
    /// Refused as: 429 `TooFast`.
    #[pyo3(signature = (operation, user, group, now))]
    fn charge<'py>(
        &self,
        py: Python<'py>,
        operation: Named<Operation>,
        user: Id<'py>,
        group: Option<Id<'py>>,
        now: Time,
    ) -> PyResult<()> {
        let at = now.0;
        let too_fast = match &self.slot {
            AnySlot::Numbers(slot) => run::charge(py, slot, operation, &user, group, now)?
                .err()
                .map(|refusal| AnyOutcome::Numbers(Kept::one(Err(refusal), at))),
            AnySlot::Text(slot) => run::charge(py, slot, operation, &user, group, now)?
                .err()
                .map(|refusal| AnyOutcome::Text(Kept::one(Err(refusal), at))),
        };
        too_fast.map_or(Ok(()), |refusal| Err(refused(py, refusal)))
    }

    /// A view of a group as it is now, or `None`. O(log N).
    fn group<'py>(&self, py: Python<'py>, group: Id<'py>) -> PyResult<Option<Group>> {
        let since = self.losses.since();
        Ok(match &self.slot {
            AnySlot::Numbers(slot) => read::group(py, slot, &group, since)?.map(AnyGroup::Numbers),
            AnySlot::Text(slot) => read::group(py, slot, &group, since)?.map(AnyGroup::Text),
        }
        .map(Group::new))
    }

    /// A page of a group's log that `reader` may read, a list of `Entry`, newest first: the last `limit`
    /// entries before the entry `before`. O(log N + log² n + limit). Reads have no rate limit.
    ///
    /// Refused as: 404 `NoSuchGroup`, `Dissolved`; 400 `NotMember`.
    #[pyo3(
        signature = (reader, group, now, before=None, limit=Number(50)),
        text_signature = "($self, reader, group, now, before=None, limit=50)"
    )]
    fn history<'py>(
        &self,
        py: Python<'py>,
        reader: Id<'py>,
        group: Id<'py>,
        now: Time,
        before: Option<Number>,
        limit: Number,
    ) -> PyResult<Bound<'py, PyList>> {
        let (page, Time(now)) = (page(before, limit), now);
        let refusal = match &self.slot {
            AnySlot::Numbers(slot) => match read::history(py, slot, &reader, &group, page, now)? {
                Ok(read) => return entries(py, read.iter().map(|(seq, entry)| (*seq, entry))),
                Err(refusal) => AnyOutcome::Numbers(Kept::one(Err(refusal), now)),
            },
            AnySlot::Text(slot) => match read::history(py, slot, &reader, &group, page, now)? {
                Ok(read) => return entries(py, read.iter().map(|(seq, entry)| (*seq, entry))),
                Err(refusal) => AnyOutcome::Text(Kept::one(Err(refusal), now)),
            },
        };
        Err(refused(py, refusal))
    }

    /// An iterator over the ids of all groups as they are now, in ascending order. Later commands do not
    /// change it. It copies a page at a time.
    fn groups<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        each!(&self.slot, AnySlot(slot) => walk(py, slot.snapshot(py, self.losses.since())?))
    }

    /// The groups that a user is a member of, a list of `Membership`, in the order of joining. O(log N)
    /// for each.
    fn groups_of<'py>(&self, py: Python<'py>, user: Id<'py>) -> PyResult<Bound<'py, PyList>> {
        each!(&self.slot, AnySlot(slot) => PyList::new(py, read::groups_of(slot, &user)?))
    }

    /// The ids of the groups that a user owns, in the order of joining. It costs as much as `groups_of`.
    fn owned_by<'py>(&self, py: Python<'py>, user: Id<'py>) -> PyResult<Bound<'py, PyList>> {
        each!(&self.slot, AnySlot(slot) => PyList::new(py, read::owned_by(slot, &user)?))
    }

    /// Whether there is a group with this id. O(log N).
    fn __contains__(&self, group: &Bound<'_, PyAny>) -> PyResult<bool> {
        each!(&self.slot, AnySlot(slot) => read::contains(slot, group))
    }

    /// An engine is true, also without groups.
    fn __bool__(&self) -> bool {
        true
    }

    /// How many groups there are. O(1).
    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(usize::try_from(self.sizes(py)?.groups).unwrap_or(usize::MAX))
    }

    /// The type of the ids: `int` or `str`.
    #[getter]
    fn ids<'py>(&self, py: Python<'py>) -> Bound<'py, PyType> {
        match self.slot {
            AnySlot::Numbers(_) => py.get_type::<PyInt>(),
            AnySlot::Text(_) => py.get_type::<PyString>(),
        }
    }

    /// The configuration, a `Config`.
    #[getter]
    fn config<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let config = each!(&self.slot, AnySlot(slot) => slot.with(py, |engine| *engine.config()))?;
        CONFIG.get(py, "Config")?.call_method1("from_dict", (pythonize(py, &config)?,))
    }

    /// Replaces the whole configuration. Users get the full allowance again for each operation whose
    /// quota changed. O(1). `ValueError` if the instance number differs; nothing is changed then.
    fn set_config(&self, py: Python<'_>, config: Data<disband::Config>) -> PyResult<()> {
        each!(&self.slot, AnySlot(slot) => {
            let set = slot.with(py, |engine| engine.set_config(config.0).map(Freed::new))?;
            set.map(drop).map_err(|error| PyValueError::new_err(error.to_string()))
        })
    }

    /// The sizes of the engine, a `Stats`. O(1).
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let sizes = pythonize(py, &self.sizes(py)?)?;
        VIEWS.get(py, "Stats")?.call((), Some(sizes.cast::<PyDict>()?))
    }

    /// Removes up to `budget` entries of dissolved groups from the index from users to groups. Commands
    /// do this too, so it is optional. O(budget · log N), without the GIL.
    fn sweep(&self, py: Python<'_>, budget: Number) -> PyResult<()> {
        let budget = usize::try_from(budget.0).unwrap_or(usize::MAX);
        each!(&self.slot, AnySlot(slot) => slot.with_detached(py, |engine| engine.sweep(budget)))
    }

    /// Verifies every invariant of a snapshot. O(size), without the GIL. `RuntimeError` would be a defect
    /// of disband.
    fn check(&self, py: Python<'_>) -> PyResult<()> {
        each!(&self.slot, AnySlot(slot) => {
            let snapshot = slot.snapshot(py, self.losses.since())?;
            let checked = py.detach(|| snapshot.check());
            checked.map_err(|violation| PyRuntimeError::new_err(violation.to_string()))
        })
    }

    /// A snapshot: an engine with the same state, which accepts commands like this one. O(1).
    fn copy(&self, py: Python<'_>) -> PyResult<Self> {
        Ok(Engine::of(each_to!(&self.slot, AnySlot(slot) => AnySlot({
            Slot::new(slot.with(py, |engine| engine.clone())?)
        }))))
    }

    fn __copy__(&self, py: Python<'_>) -> PyResult<Self> {
        self.copy(py)
    }

    fn __deepcopy__(&self, py: Python<'_>, _memo: &Bound<'_, PyAny>) -> PyResult<Self> {
        self.copy(py)
    }

    /// A snapshot as bytes, in the format `"postcard"` or `"json"`. O(size), without the GIL and without
    /// the lock: other threads can go on with commands.
    #[pyo3(signature = (format="postcard"))]
    fn save<'py>(&self, py: Python<'py>, format: &str) -> PyResult<Bound<'py, PyBytes>> {
        let format = format_named(format)?;
        let bytes = each!(&self.slot, AnySlot(slot) => {
            let snapshot = slot.snapshot(py, self.losses.since())?;
            py.detach(|| format.encode(&*snapshot))
        });
        let bytes = bytes.map_err(|error| PyValueError::new_err(error.to_string()))?;
        Ok(PyBytes::new(py, &bytes))
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let restore = py.import("disband._native")?.getattr("_restore")?;
        (restore, (self.ids(py), self.save(py, "postcard")?)).into_pyobject(py)
    }

    /// Whether the engines have the same ids, configuration, groups, remembered dissolved groups, rate
    /// limits and counters. O(size), without the GIL.
    fn __eq__(&self, py: Python<'_>, other: &Self) -> PyResult<bool> {
        fn equal<U: PyId, G: PyId>(
            py: Python<'_>,
            one: (&Slot<U, G>, &Losses),
            two: (&Slot<U, G>, &Losses),
        ) -> PyResult<bool> {
            let snapshot =
                |(slot, losses): (&Slot<U, G>, &Losses)| slot.snapshot(py, losses.since());
            let (one, two) = (snapshot(one)?, snapshot(two)?);
            Ok(py.detach(|| *one == *two))
        }
        let (ours, theirs) = (&self.losses, &other.losses);
        match (&self.slot, &other.slot) {
            (AnySlot::Numbers(one), AnySlot::Numbers(two)) => equal(py, (one, ours), (two, theirs)),
            (AnySlot::Text(one), AnySlot::Text(two)) => equal(py, (one, ours), (two, theirs)),
            _ => Ok(false),
        }
    }

    /// Frees the engine; a large one on another thread. After this every use raises `EngineClosed`.
    /// Outcomes, signals and views stay valid. It is not an error to close an engine twice.
    fn close(&self, py: Python<'_>) {
        each!(&self.slot, AnySlot(slot) => slot.close(py));
        self.losses.count_all();
    }

    /// Whether `close` was called.
    #[getter]
    fn closed(&self, py: Python<'_>) -> bool {
        each!(&self.slot, AnySlot(slot) => slot.is_closed(py))
    }

    fn __enter__(this: Bound<'_, Self>) -> PyResult<Bound<'_, Self>> {
        this.get().sizes(this.py())?;
        Ok(this)
    }

    #[pyo3(signature = (*_error))]
    fn __exit__(&self, py: Python<'_>, _error: &Bound<'_, PyTuple>) {
        self.close(py);
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        if self.closed(py) {
            return Ok("<disband.Engine, closed>".into());
        }
        let disband::Stats { groups, memberships, .. } = self.sizes(py)?;
        let ids = self.ids(py).name()?;
        Ok(format!("<disband.Engine of {ids}: {groups} groups, {memberships} memberships>"))
    }
}

impl Engine {
    fn sizes(&self, py: Python<'_>) -> PyResult<disband::Stats> {
        each!(&self.slot, AnySlot(slot) => slot.with(py, |engine| engine.stats()))
    }
}

/// Makes an engine from its type of ids and its snapshot in postcard, for `pickle`.
#[pyfunction(name = "_restore")]
pub(crate) fn restore(
    py: Python<'_>,
    ids: &Bound<'_, PyAny>,
    data: PyBackedBytes,
) -> PyResult<Engine> {
    Engine::load(py, ids, data, "postcard")
}

fn load<U: PyId, G: PyId>(py: Python<'_>, data: &[u8], format: Format) -> PyResult<Slot<U, G>> {
    let engine = py.detach(|| format.decode(data));
    engine.map(Slot::new).map_err(|error| PyValueError::new_err(error.to_string()))
}

/// Whether `ids` is the type `int`; otherwise it is `str`.
fn numbers(ids: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = ids.py();
    match ids {
        ids if ids.is(py.get_type::<PyInt>()) => Ok(true),
        ids if ids.is(py.get_type::<PyString>()) => Ok(false),
        _ => Err(PyTypeError::new_err("ids is the type int or the type str")),
    }
}

fn format_named(name: &str) -> PyResult<Format> {
    let unknown = || PyValueError::new_err(format!("{name:?} is not {}", Format::ARE));
    Format::from_name(name).ok_or_else(unknown)
}
