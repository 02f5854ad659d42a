//! Outcomes and dissolved groups as bytes.

use std::fmt::{self, Display, Write};

use disband::{Dissolved, Id, Page, Rank, Reply, Signal, wire};
use disband_dynamic::{EntryView, GroupView, Kept, KeptResult, MemberView};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::failure::Failure;
use crate::memory::{ELEMENT, READ, ensure, read_postcard, write_json, write_postcard};

/// The largest audience whose users are written with the outcome. Larger ones are read in pages.
const FEW: usize = 16;

/// Writes an outcome, and after it, for each signal, the list of its users: all if they are few, else
/// none.
pub(crate) fn write<U, G>(kept: &Kept<U, G>, output: &mut Vec<u8>) -> Result<(), Failure>
where
    U: Id + Serialize + Display,
    G: Serialize,
{
    ensure(READ.saturating_add(kept.signals().len().saturating_mul(ELEMENT)))?;
    write_postcard(output, kept)?;
    for Signal { audience, .. } in kept.signals() {
        let written = if audience.len() <= FEW { audience.len() } else { 0 };
        write_postcard(output, &audience.iter().take(written).collect::<Vec<_>>())?;
    }
    Ok(())
}

/// Writes the wire reply of the outcome of a command.
pub(crate) fn reply<U, G>(kept: &Kept<U, G>, output: &mut Vec<u8>) -> Result<(), Failure>
where
    U: Id + Display,
    G: Display,
{
    let KeptResult::One(result) = &kept.result else { return Err(Failure::NoValue) };
    if let Ok(done) = result
        && let Reply::LeftAll(groups) = &done.value
    {
        let ids: usize = groups.iter().map(|(group, _)| length(group)).sum();
        ensure(READ.saturating_add(groups.len() * ELEMENT).saturating_add(ids * 2))?;
    }
    write_json(output, &wire::reply(result, kept.now))
}

/// Writes the wire frame of a signal.
pub(crate) fn frame<U, G>(
    kept: &Kept<U, G>,
    index: usize,
    versioned: bool,
    output: &mut Vec<u8>,
) -> Result<(), Failure>
where
    U: Id + Display,
    G: Display,
{
    let signal = kept.signals().get(index).ok_or(Failure::NoValue)?;
    if versioned {
        write_json(output, &wire::VersionedFrame::from(signal))
    } else {
        write_json(output, &wire::Frame::from(signal))
    }
}

/// Writes a dissolved group at its end.
pub(crate) fn group<U: Id + Serialize>(
    dissolved: &Dissolved<U>,
    output: &mut Vec<u8>,
) -> Result<(), Failure> {
    write_postcard(output, &GroupView::from(dissolved.group()))
}

/// Writes a page of the members of a dissolved group. `after` is an id, or empty.
pub(crate) fn members<U: Id + Serialize + DeserializeOwned>(
    dissolved: &Dissolved<U>,
    after: &[u8],
    limit: usize,
    output: &mut Vec<u8>,
) -> Result<(), Failure> {
    let group = dissolved.group();
    let elements = limit.min(group.len()).saturating_mul(ELEMENT);
    ensure(READ.saturating_add(after.len()).saturating_add(elements))?;
    let after: Option<U> = if after.is_empty() { None } else { Some(read_postcard(after)?) };
    let rank = |user| group.rank(user).unwrap_or(Rank::Member);
    let page = group.members_after(after.as_ref()).take(limit);
    let page = page.map(|(user, stint)| MemberView { user, stint, rank: rank(user) });
    write_postcard(output, &page.collect::<Vec<_>>())
}

/// Writes a page of the log of a dissolved group.
pub(crate) fn history<U: Id + Serialize>(
    dissolved: &Dissolved<U>,
    page: Page,
    output: &mut Vec<u8>,
) -> Result<(), Failure> {
    let entries = page.limit.min(dissolved.summary().entries);
    let entries = usize::try_from(entries).unwrap_or(usize::MAX);
    ensure(READ.saturating_add(entries.saturating_mul(ELEMENT)))?;
    write_postcard(output, &dissolved.page(page).map(EntryView::from).collect::<Vec<_>>())
}

/// How many bytes an id has as text.
fn length(id: &impl Display) -> usize {
    struct Count(usize);
    impl Write for Count {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0 += text.len();
            Ok(())
        }
    }
    let mut count = Count(0);
    // Counting never fails.
    let _ = write!(count, "{id}");
    count.0
}
