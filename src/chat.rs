//! The commands that post, edit and erase messages, and reading a log.

use std::borrow::Borrow;
use std::sync::Arc;

use crate::audience::Audience;
use crate::group::{Group, Member};
use crate::id::{Id, Seq};
use crate::limits::Limit;
use crate::log::{Change, Entry, History, Page};
use crate::outcome::{CommandResult, Outcome};
use crate::rank::Rank;
use crate::refusal::Refusal;
use crate::signal::{Event, Signal};
use crate::state::{State, ranked};
use crate::time::Timestamp;
use crate::tree::Spot;

impl<U: Id, G: Id> State<U, G> {
    pub(crate) fn post(
        &mut self,
        author: U,
        group: G,
        message: Arc<str>,
        now: Timestamp,
    ) -> CommandResult<Seq, U, G> {
        let (at, posted_to) = self.group(&group, now)?;
        ranked(posted_to, &author, posted_to.options().post)?;
        not_muted(posted_to, &author, now)?;
        self.room_for_entry(posted_to, &author, &message, now)?;

        let next_stint = self.next_stint;
        let posted_to = self.group_mut(&at)?;
        let posted = posted_to.post(author.clone(), message.clone(), next_stint, now);
        let dropped = posted.dropped;
        self.entries = self.entries.saturating_add(1).saturating_sub(dropped.entries);
        self.message_bytes = self.message_bytes.saturating_add(message.len() as u64);
        self.message_bytes = self.message_bytes.saturating_sub(dropped.bytes);

        let event = Event::MessagePost { seq: posted.seq, at: posted.at, message };
        let signal = self.message_signal(&at, group, author, event)?;
        Ok(Outcome { value: posted.seq, signals: vec![signal] })
    }

    pub(crate) fn edit(
        &mut self,
        author: U,
        group: G,
        seq: Seq,
        message: Arc<str>,
        now: Timestamp,
    ) -> CommandResult<(), U, G> {
        let (at, edited_in, acting) = self.acting(&author, &group, Rank::Member, now)?;
        let entry = readable(edited_in, acting, seq, now)?;
        not_muted(edited_in, &author, now)?;
        if entry.author != author {
            return Err(Refusal::NotAuthor);
        }
        not_erased(entry)?;
        let bytes = message.len() as u64;
        self.within(Limit::MessageBytes, 0, bytes)?;
        let others = self.message_bytes.saturating_sub(entry.message.len() as u64);
        let total = others.saturating_add(bytes);
        self.within(Limit::MessageBytesTotal, self.message_bytes, total)?;
        let edited_at = entry.at.max(now);

        self.message_bytes = total;
        let change = Change::Edited(edited_at);
        self.group_mut(&at)?.rewrite(seq, message.clone(), change);
        let event = Event::MessageEdit { seq, at: edited_at, message };
        let signal = self.message_signal(&at, group, author, event)?;
        Ok(Outcome { value: (), signals: vec![signal] })
    }

    pub(crate) fn erase(
        &mut self,
        by: U,
        group: G,
        seq: Seq,
        now: Timestamp,
    ) -> CommandResult<(), U, G> {
        let (at, erased_in, acting) = self.acting(&by, &group, Rank::Member, now)?;
        let entry = readable(erased_in, acting, seq, now)?;
        if entry.author != by {
            if acting.rank == Rank::Member {
                return Err(Refusal::NotAuthor);
            }
            // An author who is not a member any more has no rank.
            if erased_in.rank(&entry.author) >= Some(acting.rank) {
                return Err(Refusal::Outranked);
            }
        }
        not_erased(entry)?;
        let bytes = entry.message.len() as u64;

        self.message_bytes = self.message_bytes.saturating_sub(bytes);
        self.group_mut(&at)?.rewrite(seq, Arc::default(), Change::Erased(by.clone()));
        let signal = self.message_signal(&at, group, by, Event::MessageErase { seq })?;
        Ok(Outcome { value: (), signals: vec![signal] })
    }

    pub(crate) fn history<Q: Ord + ?Sized, R: Ord + ?Sized>(
        &self,
        reader: &Q,
        group: &R,
        page: Page,
        now: Timestamp,
    ) -> Result<History<'_, U>, Refusal<U, G>>
    where
        U: Borrow<Q>,
        G: Borrow<R>,
    {
        let (_, read, member) = self.acting(reader, group, Rank::Member, now)?;
        Ok(read.history(member.stint, page, now))
    }

    /// Refuses (413) if the limits do not allow one more entry in a log.
    fn room_for_entry(
        &self,
        posted_to: &Group<U>,
        author: &U,
        message: &Arc<str>,
        now: Timestamp,
    ) -> Result<(), Refusal<U, G>> {
        let bytes = message.len() as u64;
        self.within(Limit::MessageBytes, 0, bytes)?;
        // Entries past their retention do not count. Counting them takes a search, and finding what
        // this post will drop takes a clone, so both are done only if they can matter.
        if self.one_more(Limit::EntriesPerGroup, posted_to.log_len()).is_err() {
            let live = posted_to.live_entries(now);
            let kept = posted_to.options().keep_entries.unwrap_or(u64::MAX);
            self.within(Limit::EntriesPerGroup, live, live.saturating_add(1).min(kept))?;
        }
        let total = self.message_bytes.saturating_add(bytes);
        if self.within(Limit::MessageBytesTotal, self.message_bytes, total).is_err() {
            let (author, message) = (author.clone(), message.clone());
            let dropped = posted_to.dropped_by_post(author, message, self.next_stint, now);
            let total = total.saturating_sub(dropped.bytes);
            self.within(Limit::MessageBytesTotal, self.message_bytes, total)?;
        }
        Ok(())
    }

    /// Makes a signal about a message, for the other members. It does not increase the group's
    /// version.
    fn message_signal(
        &mut self,
        at: &Spot,
        group: G,
        from: U,
        event: Event<U, G>,
    ) -> Result<Signal<U, G>, Refusal<U, G>> {
        let spoken_in = self.groups.at(at).ok_or(Refusal::NoSuchGroup)?;
        let version = spoken_in.version();
        let others = Audience::all(spoken_in.share_members()).without(from.clone());
        Ok(self.signal(group, (from.clone(), from), version, event, others))
    }
}

/// The entry `seq`. Refuses (404) if there is none, or the member may not read it.
fn readable<U: Id, G>(
    group: &Group<U>,
    member: Member,
    seq: Seq,
    now: Timestamp,
) -> Result<&Entry<U>, Refusal<U, G>> {
    group.entry(member.stint, seq, now).ok_or(Refusal::NoSuchEntry)
}

/// Refuses (403) a user who is muted.
fn not_muted<U: Id, G>(group: &Group<U>, user: &U, now: Timestamp) -> Result<(), Refusal<U, G>> {
    match group.mute(user, now) {
        Some(mute) => Err(Refusal::Muted { by: mute.by.clone(), until: mute.until }),
        None => Ok(()),
    }
}

/// Refuses (409) an entry that was erased.
fn not_erased<U, G>(entry: &Entry<U>) -> Result<(), Refusal<U, G>> {
    if entry.erased_by().is_some() { Err(Refusal::AlreadyErased) } else { Ok(()) }
}
