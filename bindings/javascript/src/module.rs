//! All values of the WebAssembly module, and the buffers through which bytes go in and out.

use std::cell::RefCell;

use disband::{Config, GroupOptions, Page, Timestamp};
use disband_dynamic::{AnyAudience, AnyDissolved, AnyEngine, AnyOutcome, Format, Ids, each};

use crate::failure::Failure;
use crate::memory::{
    COMMAND, ELEMENT, NEXT, READ, ensure, read_postcard, write_json, write_postcard,
};
use crate::table::Table;
use crate::{outcome, run};

/// A buffer that grew beyond this many bytes is freed after its use.
const KEPT: usize = 1024 * 1024;

/// The most memory that loading a snapshot takes, as a multiple of its length. A member or an entry
/// takes a few bytes in a snapshot.
const LOAD: usize = 64;

/// How many entries are swept between two checks of the memory.
const PART: usize = 64;

/// The values that JavaScript names by numbers, and the buffers.
#[derive(Debug)]
pub(crate) struct Module {
    /// What JavaScript wrote.
    pub(crate) input: Vec<u8>,
    /// What JavaScript is to read.
    pub(crate) output: Vec<u8>,
    /// A page of ids that are numbers.
    pub(crate) numbers: Vec<u64>,
    pub(crate) engines: Table<AnyEngine>,
    pub(crate) outcomes: Table<AnyOutcome>,
    pub(crate) audiences: Table<AnyAudience>,
    pub(crate) dissolved: Table<AnyDissolved>,
}

thread_local! {
    static MODULE: RefCell<Module> = const {
        RefCell::new(Module {
            input: Vec::new(),
            output: Vec::new(),
            numbers: Vec::new(),
            engines: Table::new(),
            outcomes: Table::new(),
            audiences: Table::new(),
            dissolved: Table::new(),
        })
    };
}

/// Uses the module.
pub(crate) fn with<T>(work: impl FnOnce(&mut Module) -> T) -> T {
    MODULE.with_borrow_mut(work)
}

/// A call that may fail. It returns its result, or [`Failure::status`]; the reason of
/// [`Failure::Invalid`] is then the output.
pub(crate) fn call(work: impl FnOnce(&mut Module) -> Result<u32, Failure>) -> i32 {
    with(|module| {
        shrink(&mut module.output);
        module.output.clear();
        let done = work(module);
        shrink(&mut module.input);
        match done {
            // JavaScript could not address an output that long.
            Ok(number) => i32::try_from(number).unwrap_or(Failure::OutOfMemory.status()),
            Err(failure) => {
                let status = failure.status();
                if let Failure::Invalid(reason) = failure {
                    module.output = reason.into_bytes();
                }
                status
            }
        }
    })
}

/// A call that answers with the output: it returns the length of the output.
pub(crate) fn answer(work: impl FnOnce(&mut Module) -> Result<(), Failure>) -> i32 {
    call(|module| {
        work(module)?;
        u32::try_from(module.output.len()).map_err(|_| Failure::OutOfMemory)
    })
}

fn shrink(buffer: &mut Vec<u8>) {
    if buffer.capacity() > KEPT {
        *buffer = Vec::new();
    }
}

/// The first bytes of the input.
fn given(input: &[u8], length: usize) -> Result<&[u8], Failure> {
    input.get(..length).ok_or(Failure::NoValue)
}

impl Module {
    pub(crate) fn create(&mut self, ids: Ids, length: usize) -> Result<u32, Failure> {
        ensure(COMMAND)?;
        let config: Config = read_postcard(given(&self.input, length)?)?;
        self.engines.reserve()?;
        Ok(self.engines.insert(AnyEngine::new(ids, config)))
    }

    pub(crate) fn load(&mut self, ids: Ids, form: Format, length: usize) -> Result<u32, Failure> {
        ensure(COMMAND.saturating_add(length.saturating_mul(LOAD)))?;
        self.engines.reserve()?;
        let engine = AnyEngine::load(ids, given(&self.input, length)?, form)?;
        Ok(self.engines.insert(engine))
    }

    pub(crate) fn save(&mut self, engine: u32, format: Format) -> Result<(), Failure> {
        let engine = self.engines.get(engine)?;
        match format {
            Format::Json => write_json(&mut self.output, engine),
            Format::Postcard => write_postcard(&mut self.output, engine),
        }
    }

    pub(crate) fn clone(&mut self, engine: u32) -> Result<u32, Failure> {
        self.engines.reserve()?;
        let clone = self.engines.get(engine)?.clone();
        Ok(self.engines.insert(clone))
    }

    pub(crate) fn equals(&self, one: u32, other: u32) -> Result<u32, Failure> {
        Ok(u32::from(self.engines.get(one)? == self.engines.get(other)?))
    }

    pub(crate) fn apply(
        &mut self,
        engine: u32,
        length: usize,
        now: Timestamp,
    ) -> Result<u32, Failure> {
        self.outcomes.reserve()?;
        let input = given(&self.input, length)?;
        let outcome = match self.engines.get_mut(engine)? {
            AnyEngine::Numbers(engine) => AnyOutcome::Numbers(run::apply(engine, input, now)?),
            AnyEngine::Text(engine) => AnyOutcome::Text(run::apply(engine, input, now)?),
        };
        self.keep(outcome)
    }

    pub(crate) fn preview(
        &mut self,
        engine: u32,
        length: usize,
        now: Timestamp,
    ) -> Result<u32, Failure> {
        self.outcomes.reserve()?;
        let input = given(&self.input, length)?;
        let outcome = match self.engines.get(engine)?.clone() {
            AnyEngine::Numbers(mut engine) => {
                AnyOutcome::Numbers(run::apply(&mut engine, input, now)?)
            }
            AnyEngine::Text(mut engine) => AnyOutcome::Text(run::apply(&mut engine, input, now)?),
        };
        self.keep(outcome)
    }

    pub(crate) fn apply_all(
        &mut self,
        engine: u32,
        length: usize,
        count: usize,
        now: Timestamp,
    ) -> Result<u32, Failure> {
        self.outcomes.reserve()?;
        let input = given(&self.input, length)?;
        let outcome = match self.engines.get_mut(engine)? {
            AnyEngine::Numbers(engine) => {
                AnyOutcome::Numbers(run::apply_all(engine, input, count, now)?)
            }
            AnyEngine::Text(engine) => AnyOutcome::Text(run::apply_all(engine, input, count, now)?),
        };
        self.keep(outcome)
    }

    /// Keeps an outcome; there is room for it. Of a refusal, writes the data into the output instead.
    fn keep(&mut self, outcome: AnyOutcome) -> Result<u32, Failure> {
        if outcome.code() == 200 {
            return Ok(self.outcomes.insert(outcome));
        }
        write_postcard(&mut self.output, &outcome)?;
        Err(Failure::Refused)
    }

    pub(crate) fn charge(
        &mut self,
        engine: u32,
        length: usize,
        now: Timestamp,
    ) -> Result<u32, Failure> {
        let input = given(&self.input, length)?;
        let engine = self.engines.get_mut(engine)?;
        each!(engine, AnyEngine(engine) => run::charge(engine, input, now, &mut self.output))?;
        Ok(0)
    }

    pub(crate) fn read(&mut self, engine: u32, length: usize) -> Result<(), Failure> {
        let input = given(&self.input, length)?;
        let engine = self.engines.get(engine)?;
        each!(engine, AnyEngine(engine) => run::read(engine, input, &mut self.output))
    }

    pub(crate) fn set_config(&mut self, engine: u32, length: usize) -> Result<u32, Failure> {
        ensure(COMMAND)?;
        let config: Config = read_postcard(given(&self.input, length)?)?;
        let set = self.engines.get_mut(engine)?.set_config(config);
        set.map(|_| 0).map_err(|error| Failure::Invalid(error.to_string()))
    }

    /// Sweeps in parts. It stops early if there is not enough memory for another part.
    pub(crate) fn sweep(&mut self, engine: u32, budget: usize) -> Result<u32, Failure> {
        let engine = self.engines.get_mut(engine)?;
        let mut left = budget;
        while left > 0 && engine.stats().unswept > 0 {
            // Each step may copy the path to another entry, while a clone is alive.
            let room = ensure(COMMAND + PART * NEXT);
            if left == budget {
                room?;
            } else if room.is_err() {
                break;
            }
            engine.sweep(left.min(PART));
            left -= left.min(PART);
        }
        Ok(0)
    }

    pub(crate) fn check(&self, engine: u32) -> Result<u32, Failure> {
        let engine = self.engines.get(engine)?;
        let stats = engine.stats();
        let size = [stats.memberships, stats.entries, stats.cells, stats.tombstones, stats.unswept];
        let size = usize::try_from(size.iter().sum::<u64>()).unwrap_or(usize::MAX);
        ensure(READ.saturating_add(size.saturating_mul(ELEMENT)))?;
        engine.check().map_err(Failure::Invalid)?;
        Ok(0)
    }

    pub(crate) fn outcome(&mut self, outcome: u32) -> Result<(), Failure> {
        let outcome = self.outcomes.get(outcome)?;
        each!(outcome, AnyOutcome(kept) => outcome::write(kept, &mut self.output))
    }

    pub(crate) fn reply(&mut self, outcome: u32) -> Result<(), Failure> {
        let outcome = self.outcomes.get(outcome)?;
        each!(outcome, AnyOutcome(kept) => outcome::reply(kept, &mut self.output))
    }

    pub(crate) fn frame(
        &mut self,
        outcome: u32,
        index: usize,
        versioned: bool,
    ) -> Result<(), Failure> {
        let outcome = self.outcomes.get(outcome)?;
        each!(outcome, AnyOutcome(kept) => outcome::frame(kept, index, versioned, &mut self.output))
    }

    pub(crate) fn audience(&mut self, outcome: u32, index: usize) -> Result<u32, Failure> {
        self.audiences.reserve()?;
        let audience = self.outcomes.get(outcome)?.audience(index).ok_or(Failure::NoValue)?;
        Ok(self.audiences.insert(audience))
    }

    /// O(groups of the outcome before `index`).
    pub(crate) fn dissolved(&mut self, outcome: u32, index: usize) -> Result<u32, Failure> {
        self.dissolved.reserve()?;
        let group = match self.outcomes.get(outcome)? {
            AnyOutcome::Numbers(kept) => {
                kept.dissolved().nth(index).cloned().map(AnyDissolved::Numbers)
            }
            AnyOutcome::Text(kept) => kept.dissolved().nth(index).cloned().map(AnyDissolved::Text),
        };
        Ok(self.dissolved.insert(group.ok_or(Failure::NoValue)?))
    }

    /// Writes users whose ids are numbers into `numbers`, and returns how many.
    pub(crate) fn audience_numbers(
        &mut self,
        audience: u32,
        after: Option<u64>,
        limit: usize,
    ) -> Result<u32, Failure> {
        let audience = self.audiences.get(audience)?;
        let length = limit.min(audience.len());
        self.numbers.try_reserve(length.saturating_sub(self.numbers.len()))?;
        self.numbers.resize(length.max(self.numbers.len()), 0);
        let page = self.numbers.get_mut(..length).unwrap_or_default();
        audience.numbers_after(after, page).map(|count| count as u32).ok_or(Failure::NoValue)
    }

    pub(crate) fn audience_page(
        &mut self,
        audience: u32,
        length: usize,
        limit: usize,
    ) -> Result<(), Failure> {
        let audience = self.audiences.get(audience)?;
        let elements = limit.min(audience.len()).saturating_mul(ELEMENT);
        ensure(READ.saturating_add(length).saturating_add(elements))?;
        let after = given(&self.input, length)?;
        let after = (!after.is_empty()).then_some(after);
        write_postcard(&mut self.output, &audience.page(after, limit as u64, Format::Postcard)?)
    }

    pub(crate) fn audience_has(&self, audience: u32, length: usize) -> Result<u32, Failure> {
        ensure(READ.saturating_add(length))?;
        let user = given(&self.input, length)?;
        Ok(u32::from(self.audiences.get(audience)?.contains(user, Format::Postcard)?))
    }

    pub(crate) fn dissolved_group(&mut self, dissolved: u32) -> Result<(), Failure> {
        let dissolved = self.dissolved.get(dissolved)?;
        each!(dissolved, AnyDissolved(group) => outcome::group(group, &mut self.output))
    }

    pub(crate) fn dissolved_members(
        &mut self,
        dissolved: u32,
        length: usize,
        limit: usize,
    ) -> Result<(), Failure> {
        let after = given(&self.input, length)?;
        let dissolved = self.dissolved.get(dissolved)?;
        let output = &mut self.output;
        each!(dissolved, AnyDissolved(group) => outcome::members(group, after, limit, output))
    }

    pub(crate) fn dissolved_history(&mut self, dissolved: u32, page: Page) -> Result<(), Failure> {
        let dissolved = self.dissolved.get(dissolved)?;
        each!(dissolved, AnyDissolved(group) => outcome::history(group, page, &mut self.output))
    }

    pub(crate) fn refusal_reply(
        &mut self,
        ids: Ids,
        length: usize,
        now: Timestamp,
    ) -> Result<(), Failure> {
        let refusal = given(&self.input, length)?;
        match ids {
            Ids::Numbers => run::refusal_reply::<disband::UserId, disband::GroupId>(
                refusal,
                now,
                &mut self.output,
            ),
            Ids::Text => run::refusal_reply::<disband_dynamic::Text, disband_dynamic::Text>(
                refusal,
                now,
                &mut self.output,
            ),
        }
    }

    /// Writes the default configuration, and after it the default options of a group.
    pub(crate) fn defaults(&mut self) -> Result<(), Failure> {
        write_postcard(&mut self.output, &Config::default())?;
        write_postcard(&mut self.output, &GroupOptions::default())
    }
}
