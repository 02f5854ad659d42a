//! The ratios that the project has targets for.

use crate::mix::Latencies;
use crate::report::{Report, digits, grouped, head, line, of, time};
use crate::rows::Row;

/// A table of the ratios, with the target of each. It leaves out a ratio if this run did not
/// measure the figures for it.
#[must_use]
pub fn markdown(report: &Report) -> String {
    let ratios = mix(report).into_iter().chain(commands(report)).chain(dissolutions(report));
    let mut out = String::new();
    head(&mut out, &["what", "this run", "target"]);
    for Ratio { what, measured, target } in ratios.chain(walk(report)) {
        line(&mut out, [what, measured, target.to_string()]);
    }
    out
}

struct Ratio {
    what: String,
    measured: String,
    target: &'static str,
}

fn mix(report: &Report) -> Vec<Ratio> {
    let per_second = |row| of(&report.mix, row).map(Latencies::per_second);
    let ratio = |(other, target): (Row, _)| {
        Some(Ratio {
            what: format!("mix, commands a second: disband ÷ {}", other.title()),
            measured: digits(per_second(Row::Disband)? / per_second(other)?),
            target,
        })
    };
    [(Row::Handwritten, "≥ 1.2"), (Row::Sqlite, "≥ 15")].into_iter().filter_map(ratio).collect()
}

fn commands(report: &Report) -> Vec<Ratio> {
    let mut ratios = Vec::new();
    for (row, base, targets) in [
        (Row::Disband, Row::Handwritten, ["≤ 3.5", "≤ 3.5", "≤ 3.5", "≤ 2"]),
        (Row::DisbandDefault, Row::Disband, ["≤ 1.4"; 4]),
        (Row::DisbandOutcomes, Row::Disband, ["≤ 1.2"; 4]),
    ] {
        let commands = of(&report.commands, row).zip(of(&report.commands, base));
        let Some((measured, of_base)) = commands else { continue };
        let both = measured.each().into_iter().zip(of_base.each());
        for (((command, took), (_, base_took)), target) in both.zip(targets) {
            ratios.push(Ratio {
                what: format!(
                    "{command} in a group of {}: {} ÷ {}",
                    grouped(report.members),
                    row.title(),
                    base.title()
                ),
                measured: digits(took.as_secs_f64() / base_took.as_secs_f64()),
                target,
            });
        }
    }
    ratios
}

fn dissolutions(report: &Report) -> Vec<Ratio> {
    let by_members = |row| of(&report.dissolutions, row).map(|of| &of.by_members[..]);
    let Some([(fewest, fastest), .., (most, took)]) = by_members(Row::Disband) else {
        return Vec::new();
    };
    let most = grouped(*most);
    let mut ratios = Vec::new();
    if let Some([.., (_, shared)]) = by_members(Row::DisbandSnapshot) {
        ratios.push(Ratio {
            what: format!("dissolve {most}: {} − disband", Row::DisbandSnapshot.title()),
            measured: time(shared.saturating_sub(*took)),
            target: "≤ 3 µs",
        });
    }
    ratios.push(Ratio {
        what: format!("dissolve {most} ÷ dissolve {fewest}"),
        measured: digits(took.as_secs_f64() / fastest.as_secs_f64()),
        target: "≤ 1.25",
    });
    ratios
}

fn walk(report: &Report) -> Option<Ratio> {
    let each = report.walk?.ours.as_secs_f64() * 1e9 / report.members as f64;
    Some(Ratio {
        what: format!("walk over an audience of {}, per recipient", grouped(report.members)),
        measured: digits(each) + " ns",
        target: "≤ 5 ns",
    })
}
