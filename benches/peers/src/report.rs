//! Writes the figures as Markdown.

use std::fmt::Write;
use std::time::Duration;

use clap::ValueEnum;

use crate::commands::{Commands, Walk};
use crate::dissolution::Dissolutions;
use crate::memory::Case;
use crate::mix::{COMMANDS_PER_SNAPSHOT, Latencies, MS_PER_COMMAND};
use crate::rows::Row;
use crate::script::Scale;

/// The measured figures of each row, in the order of the table.
pub type Table<T> = Vec<(Row, T)>;

/// Everything that one run measured. A part that the run left out is empty.
#[derive(Debug, Clone)]
pub struct Report {
    pub dissolutions: Table<Dissolutions>,
    pub members: u64,
    pub commands: Table<Commands>,
    pub walk: Option<Walk>,
    /// The time of a `PING` on Redis, which does no work.
    pub ping: Option<Duration>,
    pub scale: Scale,
    pub mix: Table<Latencies>,
    pub memory: Table<Memory>,
}

/// The bytes of each case, in the order of [`Case::ALL`]. `None` where they could not be measured.
pub type Memory = Vec<Option<f64>>;

/// The figures of a row, if it was measured.
#[must_use]
pub fn of<T>(table: &Table<T>, row: Row) -> Option<&T> {
    table.iter().find(|(measured, _)| *measured == row).map(|(_, figures)| figures)
}

/// A time with a unit, with three significant digits.
#[must_use]
pub fn time(time: Duration) -> String {
    let ns = time.as_secs_f64() * 1e9;
    match ns {
        ..1e3 => format!("{ns:.0} ns"),
        ..1e6 => digits(ns / 1e3) + " µs",
        ..1e9 => digits(ns / 1e6) + " ms",
        _ => digits(ns / 1e9) + " s",
    }
}

/// Three significant digits, or more if the whole part has more.
pub(crate) fn digits(number: f64) -> String {
    let decimals = if number < 10.0 { 2 } else { usize::from(number < 100.0) };
    format!("{number:.decimals$}")
}

/// A number with commas: 1,000,000.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let head = digits.len() % 3;
    let groups = digits.as_bytes()[head..].chunks(3).map(String::from_utf8_lossy);
    let head = digits[..head].into();
    std::iter::once(head)
        .chain(groups)
        .filter(|group| !group.is_empty())
        .collect::<Vec<_>>()
        .join(",")
}

fn ratio(of: Duration, to: Duration) -> f64 {
    of.as_secs_f64() / to.as_secs_f64().max(1e-9)
}

fn times(ratio: f64) -> String {
    if ratio < 1_000.0 { digits(ratio) } else { grouped(ratio.round() as u64) }
}

/// Adds a line of a table.
pub(crate) fn line(out: &mut String, cells: impl IntoIterator<Item = String>) {
    for cell in cells {
        let _ = write!(out, "| {cell} ");
    }
    out.push_str("|\n");
}

/// Adds the first two lines of a table: its column names.
pub(crate) fn head(out: &mut String, cells: &[&str]) {
    line(out, cells.iter().map(ToString::to_string));
    line(out, cells.iter().map(|_| "---".to_string()));
}

/// Adds the head of a table that has a column for each [`Row`], instead of a line.
fn transposed<T>(out: &mut String, first: &str, table: &Table<T>) {
    let titles = table.iter().map(|(row, _)| row.title());
    head(out, &std::iter::once(first).chain(titles).collect::<Vec<_>>());
}

impl Report {
    /// An explanation of the rows, then the tables. The text before a table says what it shows.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut out = String::new();
        self.meanings(&mut out);
        if !self.dissolutions.is_empty() {
            self.dissolutions(&mut out);
        }
        if !self.commands.is_empty() {
            self.commands(&mut out);
        }
        if !self.mix.is_empty() {
            self.mix(&mut out);
        }
        if !self.memory.is_empty() {
            self.memory(&mut out);
        }
        out
    }

    fn meanings(&self, out: &mut String) {
        let timed = |row| {
            of(&self.dissolutions, row).is_some()
                || of(&self.commands, row).is_some()
                || of(&self.mix, row).is_some()
        };
        for row in Row::value_variants().iter().filter(|row| timed(**row)) {
            if let Some(meaning) = row.meaning() {
                let _ = writeln!(out, "- **{}**: {meaning}", row.title());
            }
        }
        if !out.is_empty() {
            out.push('\n');
        }
    }

    fn dissolutions(&self, out: &mut String) {
        out.push_str(
            "The owner leaves a group of n members with n messages, so the group is dissolved. \
             Median time, and in brackets its ratio to the first column:\n\n",
        );
        transposed(out, "n", &self.dissolutions);
        let Some(((first, base), _)) = self.dissolutions.split_first() else { return };
        for (place, (members, took)) in base.by_members.iter().enumerate() {
            let cell = |(row, of): &(Row, Dissolutions)| {
                let (_, theirs) = of.by_members[place];
                match row == first {
                    true => time(theirs),
                    false => format!("{} ({} ×)", time(theirs), times(ratio(theirs, *took))),
                }
            };
            let cells = self.dissolutions.iter().map(cell);
            line(out, std::iter::once(grouped(*members)).chain(cells));
        }
        out.push('\n');
    }

    fn commands(&self, out: &mut String) {
        let members = grouped(self.members);
        let _ = writeln!(out, "Single commands in a group of {members} members, median time:\n");
        head(out, &["", "leave", "join", "kick", "post"]);
        for (row, of) in &self.commands {
            let each = of.each().map(|(_, took)| time(took));
            line(out, std::iter::once(row.title().to_string()).chain(each));
        }
        out.push('\n');
        if let Some(ping) = self.ping {
            let _ = writeln!(
                out,
                "A `PING`, which does no work, took {} on Redis (median). This is the time of one \
                 round trip. Each command on Redis takes one round trip too.\n",
                time(ping),
            );
        }
        if let Some(Walk { ours, set }) = self.walk {
            let _ = writeln!(
                out,
                "Iterating over an audience (the users a signal is for) of {members}: {}, or {} \
                 for each recipient. Iterating over a `BTreeSet` of the same ids: {}. So the \
                 audience takes {} times as long.\n",
                time(ours),
                time(ours.div_f64(self.members as f64)),
                time(set),
                times(ratio(ours, set)),
            );
        }
    }

    fn mix(&self, out: &mut String) {
        let Scale { groups, largest, commands } = self.scale;
        let _ = writeln!(
            out,
            "{} commands in {} groups. The largest group has {} members. The sizes of the groups, \
             and their shares of the commands, follow Zipf's law:\n",
            grouped(commands),
            grouped(groups),
            grouped(largest),
        );
        head(out, &["", "commands a second", "p50", "p99", "p99.9", "p99.99", "maximum"]);
        for (row, of) in &self.mix {
            let nanos = |ns| time(Duration::from_nanos(ns));
            let quantiles = [0.5, 0.99, 0.999, 0.9999].map(|q| of.each.value_at_quantile(q));
            let cells = quantiles.into_iter().chain([of.each.max()]).map(nanos);
            let rate = grouped(of.per_second().round() as u64);
            line(out, [row.title().to_string(), rate].into_iter().chain(cells));
        }
        out.push('\n');
        self.notes_on_the_mix(out);
    }

    fn notes_on_the_mix(&self, out: &mut String) {
        let mut notes = Vec::new();
        if of(&self.mix, Row::DisbandDefault).is_some() {
            notes.push(format!(
                "The engine's clock advances {MS_PER_COMMAND} ms with each command. So the default \
                 rate limits refuse no command."
            ));
        }
        if of(&self.mix, Row::DisbandOutcomes).is_some() {
            notes.push(
                "With 64 outcomes alive, the oldest is freed after each command. This time counts \
                 in the commands a second, but not in the latencies."
                    .to_string(),
            );
        }
        if of(&self.mix, Row::DisbandSnapshot).is_some() {
            notes.push(format!(
                "The snapshot is replaced every {} commands. The time to free the old one counts \
                 in the commands a second, but not in the latencies.",
                grouped(COMMANDS_PER_SNAPSHOT as u64)
            ));
        }
        if let Some(copying) = of(&self.mix, Row::HandwrittenCopying) {
            notes.push(format!(
                "The hand-written engine that copies recipients ran only the first {} commands.",
                grouped(copying.each.len())
            ));
        }
        if !notes.is_empty() {
            let _ = writeln!(out, "{}\n", notes.join(" "));
        }
    }

    fn memory(&self, out: &mut String) {
        out.push_str("Bytes of memory:\n\n");
        transposed(out, "", &self.memory);
        for (place, case) in Case::ALL.into_iter().enumerate() {
            let cells = self.memory.iter().map(|(_, bytes)| match bytes.get(place) {
                Some(Some(bytes)) => format!("{bytes:.0}"),
                _ => "–".to_string(),
            });
            line(out, std::iter::once(case.title().to_string()).chain(cells));
        }
    }
}
