//! The figures as Markdown.

use std::fmt::Write;
use std::time::Duration;

use crate::commands::{Commands, Walk};
use crate::dissolution::Dissolutions;
use crate::memory::Case;
use crate::mix::Latencies;
use crate::script::Scale;

/// Everything that one run measured. Of the peers, disband is the first in each list.
#[derive(Debug, Clone)]
pub struct Report {
    pub dissolutions: Vec<Dissolutions>,
    pub members: u64,
    pub commands: Vec<Commands>,
    pub walk: Walk,
    pub scale: Scale,
    pub mix: Vec<Latencies>,
    pub memory: Vec<Memory>,
}

/// Bytes that each thing takes.
#[derive(Debug, Clone)]
pub struct Memory {
    pub peer: &'static str,
    pub bytes: Vec<(Case, Option<f64>)>,
}

/// Three digits and a unit.
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

fn digits(number: f64) -> String {
    let decimals = if number < 10.0 { 2 } else { usize::from(number < 100.0) };
    format!("{number:.decimals$}")
}

/// With the thousands apart.
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

/// A row of a table.
fn row(out: &mut String, cells: impl IntoIterator<Item = String>) {
    for cell in cells {
        let _ = write!(out, "| {cell} ");
    }
    out.push_str("|\n");
}

fn head(out: &mut String, cells: &[&str]) {
    row(out, cells.iter().map(ToString::to_string));
    row(out, cells.iter().map(|_| "---".to_string()));
}

impl Report {
    /// Tables, each under what it shows.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut out = String::new();
        self.dissolutions(&mut out);
        self.commands(&mut out);
        self.mix(&mut out);
        self.memory(&mut out);
        out
    }

    fn dissolutions(&self, out: &mut String) {
        out.push_str("An owner leaves a group of n members with n messages (median):\n\n");
        let names = self.dissolutions.iter().map(|of| of.peer);
        head(out, &std::iter::once("n").chain(names).collect::<Vec<_>>());
        let Some((ours, _)) = self.dissolutions.split_first() else { return };
        for (place, (members, took)) in ours.by_members.iter().enumerate() {
            let cell = |of: &Dissolutions| {
                let (_, theirs) = of.by_members[place];
                match of.peer == ours.peer {
                    true => time(theirs),
                    false => format!("{} ({} ×)", time(theirs), times(ratio(theirs, *took))),
                }
            };
            let cells = self.dissolutions.iter().map(cell);
            row(out, std::iter::once(grouped(*members)).chain(cells));
        }
        out.push('\n');
    }

    fn commands(&self, out: &mut String) {
        let members = grouped(self.members);
        let _ = writeln!(out, "Single commands in a group of {members} members (median):\n");
        head(out, &["", "leave", "join", "kick", "post"]);
        for of in &self.commands {
            let each = [of.leave, of.join, of.kick, of.post];
            row(out, std::iter::once(of.peer.to_string()).chain(each.map(time)));
        }
        let Walk { ours, set } = self.walk;
        let _ = writeln!(
            out,
            "\nA walk over an audience of {members}: {} ({} for each recipient), over a `BTreeSet` of \
             the same ids {}: {} times.\n",
            time(ours),
            time(ours.div_f64(self.members as f64)),
            time(set),
            times(ratio(ours, set)),
        );
    }

    fn mix(&self, out: &mut String) {
        let Scale { groups, largest, commands } = self.scale;
        let _ = writeln!(
            out,
            "{} commands over {} groups, the largest of {}, their sizes and their share of the \
             commands by Zipf's law:\n",
            grouped(commands),
            grouped(groups),
            grouped(largest),
        );
        head(out, &["", "commands a second", "p50", "p99", "p99.9", "p99.99", "maximum"]);
        for of in &self.mix {
            let nanos = |ns| time(Duration::from_nanos(ns));
            let quantiles = [0.5, 0.99, 0.999, 0.9999].map(|q| of.each.value_at_quantile(q));
            let cells = quantiles.into_iter().chain([of.each.max()]).map(nanos);
            let rate = grouped(of.per_second().round() as u64);
            row(out, [of.peer.to_string(), rate].into_iter().chain(cells));
        }
        out.push('\n');
    }

    fn memory(&self, out: &mut String) {
        out.push_str("Bytes of memory:\n\n");
        let names = self.memory.iter().map(|of| of.peer);
        head(out, &std::iter::once("").chain(names).collect::<Vec<_>>());
        for (place, case) in Case::ALL.into_iter().enumerate() {
            let cells = self.memory.iter().map(|of| match of.bytes.get(place) {
                Some((_, Some(bytes))) => format!("{bytes:.0}"),
                _ => "–".to_string(),
            });
            row(out, std::iter::once(case.title().to_string()).chain(cells));
        }
    }
}
