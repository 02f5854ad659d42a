//! What is said in a group, and read again.

use std::sync::Arc;

use crate::audience::Audience;
use crate::id::{Id, Seq};
use crate::limits::Limit;
use crate::log::{History, Page};
use crate::outcome::{CommandResult, Outcome};
use crate::rank::Rank;
use crate::refusal::Refusal;
use crate::signal::Event;
use crate::state::State;
use crate::time::Timestamp;

impl<U: Id, G: Id> State<U, G> {
    pub(crate) fn post(
        &mut self,
        author: U,
        group: G,
        message: Arc<str>,
        now: Timestamp,
    ) -> CommandResult<Seq, U, G> {
        let (at, posted_to, _) = self.acting(&author, &group, Rank::Member, now)?;
        self.within(Limit::MessageBytes, message.len() as u64)?;
        // Counting those within their retention takes a search: not unless it may matter.
        if self.within(Limit::EntriesPerGroup, posted_to.log_len().saturating_add(1)).is_err() {
            self.within(Limit::EntriesPerGroup, posted_to.entries_with_one_more(now))?;
        }

        let next_stint = self.next_stint;
        let posted_to = self.group_mut(&at)?;
        let posted = posted_to.post(author.clone(), message.clone(), next_stint, now);
        let version = posted_to.version();
        let others = Audience::without(posted_to.share_members(), author.clone());
        self.entries = self.entries.saturating_add(1).saturating_sub(posted.dropped);

        let event = Event::MessagePost { seq: posted.seq, at: posted.at, message };
        let signal = self.signal(group, author, version, event, others);
        Ok(Outcome { value: posted.seq, signals: vec![signal] })
    }

    pub(crate) fn history(
        &self,
        reader: &U,
        group: &G,
        page: Page,
        now: Timestamp,
    ) -> Result<History<'_, U>, Refusal<U>> {
        let (_, read, member) = self.acting(reader, group, Rank::Member, now)?;
        Ok(read.history(member.stint, page, now))
    }
}
