//! Draws the figures as SVG charts.

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use plotters::coord::Shift;
use plotters::prelude::*;

use crate::report::{Report, grouped, of, time};
use crate::rows::Row;

const SIZE: (u32, u32) = (860, 480);

/// The rows that are drawn, in colours that colour-blind readers can tell apart. The lines of the
/// other rows would cover those of disband in most places.
const DISSOLUTION: [(Row, RGBColor); 5] = [
    (Row::Disband, BLUE),
    (Row::DisbandSnapshot, SKY),
    (Row::Handwritten, VERMILION),
    (Row::Sqlite, GREEN),
    (Row::Redis, PURPLE),
];
const LATENCY: [(Row, RGBColor); 6] = [
    (Row::Disband, BLUE),
    (Row::DisbandDefault, SKY),
    (Row::Handwritten, VERMILION),
    (Row::HandwrittenCopying, ORANGE),
    (Row::Sqlite, GREEN),
    (Row::Redis, PURPLE),
];

const BLUE: RGBColor = RGBColor(0, 114, 178);
const SKY: RGBColor = RGBColor(86, 180, 233);
const VERMILION: RGBColor = RGBColor(213, 94, 0);
const ORANGE: RGBColor = RGBColor(230, 159, 0);
const GREEN: RGBColor = RGBColor(0, 158, 115);
const PURPLE: RGBColor = RGBColor(204, 121, 167);

type Result = std::result::Result<(), Box<dyn Error>>;

/// A line of a chart: its name, its colour and its points.
type Line = (&'static str, RGBColor, Vec<(f64, f64)>);

/// The time of a dissolution against the size of the group. Both axes are logarithmic.
///
/// # Errors
/// If the file can't be written.
pub fn dissolution(report: &Report, path: &Path) -> Result {
    let lines = DISSOLUTION.into_iter().filter_map(|(row, colour)| {
        let by_members = &of(&report.dissolutions, row)?.by_members;
        let points = by_members.iter().map(|(n, took)| (*n as f64, nanos(*took)));
        Some((row.title(), colour, points.collect()))
    });
    let axis = |n: &f64| grouped(n.round() as u64);
    draw(path, "An owner leaves: the time to dissolve a group", "members and messages", axis, lines)
}

/// The latency that only one in x commands exceeds, against x. Both axes are logarithmic.
///
/// # Errors
/// If the file can't be written.
pub fn latency(report: &Report, path: &Path) -> Result {
    let lines = LATENCY.into_iter().filter_map(|(row, colour)| {
        let each = &of(&report.mix, row)?.each;
        // One command in 2, in 4, in 8 …, up to one in all commands.
        let rarities = std::iter::successors(Some(2.0), |rarity| Some(rarity * 2.0))
            .take_while(|rarity| *rarity <= each.len() as f64);
        let points = rarities.map(|one_in: f64| {
            let latency = each.value_at_quantile(1.0 - 1.0 / one_in);
            (one_in, latency.max(1) as f64)
        });
        let worst = (each.len() as f64, each.max() as f64);
        Some((row.title(), colour, points.chain([worst]).collect()))
    });
    let axis = |one_in: &f64| format!("1 in {}", grouped(one_in.round() as u64));
    draw(path, "A service at work: how slow the slowest commands are", "commands", axis, lines)
}

fn draw(
    path: &Path,
    title: &str,
    across: &str,
    axis: impl Fn(&f64) -> String,
    lines: impl Iterator<Item = Line>,
) -> Result {
    let lines: Vec<Line> = lines.collect();
    let area = SVGBackend::new(path, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    lines_on(&area, title, across, axis, &lines)?;
    area.present()?;
    Ok(())
}

fn lines_on(
    area: &DrawingArea<SVGBackend<'_>, Shift>,
    title: &str,
    across: &str,
    axis: impl Fn(&f64) -> String,
    lines: &[Line],
) -> Result {
    let points = || lines.iter().flat_map(|(_, _, points)| points);
    let (left, right) = bounds(points().map(|(x, _)| *x));
    let (low, high) = bounds(points().map(|(_, y)| *y));
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 20))
        .margin(16)
        .margin_right(40)
        .x_label_area_size(48)
        .y_label_area_size(80)
        .build_cartesian_2d((left..right).log_scale(), (low / 2.0..high * 2.0).log_scale())?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .bold_line_style(RGBColor(225, 225, 225))
        .x_desc(across)
        .x_label_formatter(&axis)
        .y_label_formatter(&|ns| time(Duration::from_nanos(ns.round() as u64)))
        .draw()?;
    for (name, colour, points) in lines {
        chart
            .draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2)))?
            .label(*name)
            .legend(|(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
        chart.draw_series(points.iter().map(|point| Circle::new(*point, 3, colour.filled())))?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE)
        .border_style(RGBColor(200, 200, 200))
        .draw()?;
    Ok(())
}

fn bounds(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::INFINITY, 1.0), |(low, high), value| (value.min(low), value.max(high)))
}

fn nanos(time: Duration) -> f64 {
    (time.as_nanos() as f64).max(1.0)
}
