//! Draws a dashboard with its query results: panels at their positions in Grafana's grid.

use std::collections::BTreeMap;
use std::f64::consts::TAU;
use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use observe::Result;

use super::board::{Board, Kind, Panel};
use super::units;

/// Sizes in pixels. The picture is drawn at twice its displayed size, because coordinates are integers.
const COLUMN: i32 = 100;
const ROW: i32 = 56;
const GAP: i32 = 8;
const HEAD: i32 = 84;

const GROUND: RGBColor = RGBColor(17, 18, 23);
const PANEL: RGBColor = RGBColor(24, 27, 31);
const GRID: RGBColor = RGBColor(50, 53, 59);
const TEXT: RGBColor = RGBColor(204, 204, 220);
const FAINT: RGBColor = RGBColor(142, 142, 160);
const GREEN: RGBColor = RGBColor(115, 191, 105);
const YELLOW: RGBColor = RGBColor(250, 222, 42);
const RED: RGBColor = RGBColor(242, 73, 92);
/// Grafana's classic palette.
const PALETTE: [RGBColor; 10] = [
    GREEN,
    RGBColor(242, 204, 12),
    RGBColor(138, 184, 255),
    RGBColor(255, 120, 10),
    RED,
    RGBColor(87, 148, 242),
    RGBColor(184, 119, 217),
    RGBColor(112, 93, 160),
    RGBColor(55, 135, 45),
    RGBColor(250, 222, 42),
];

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// A line of a panel: its name, and its points: seconds since the start, and the value.
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

impl Line {
    /// Returns the last finite value, or 0.
    fn last(&self) -> f64 {
        let values = self.points.iter().rev().map(|(_, value)| *value);
        values
            .into_iter()
            .find(|value| value.is_finite())
            .unwrap_or(0.0)
    }
}

/// Draws a dashboard to a file. `lines` has the lines of each panel, in the order of the panels.
pub(crate) fn draw(path: &Path, board: &Board, lines: &[Vec<Line>], seconds: f64) -> Result<()> {
    let size = (24 * COLUMN + GAP, HEAD + board.height() * ROW + GAP);
    let area = SVGBackend::new(path, (size.0 as u32, size.1 as u32)).into_drawing_area();
    area.fill(&GROUND)?;
    write(
        &area,
        &board.title,
        (3 * GAP, HEAD / 2),
        46,
        TEXT,
        HPos::Left,
    )?;
    for (panel, lines) in board.panels.iter().zip(lines) {
        let grid = panel.grid_pos;
        let at = (grid.x * COLUMN + GAP, HEAD + grid.y * ROW + GAP);
        let size = (grid.w * COLUMN - GAP, grid.h * ROW - GAP);
        let part = area.clone().shrink(at, size);
        if panel.kind == Kind::Row {
            let title = format!("⌄  {}", panel.title);
            write(&part, &title, (2 * GAP, size.1 / 2), 34, TEXT, HPos::Left)?;
            continue;
        }
        part.fill(&PANEL)?;
        write(&part, &panel.title, (2 * GAP, 30), 30, TEXT, HPos::Left)?;
        let inside = part.margin(56, GAP, 2 * GAP, 2 * GAP);
        let has_value = |line: &Line| line.points.iter().any(|(_, value)| value.is_finite());
        if !lines.iter().any(has_value) {
            write(&inside, "No data", middle(&inside), 32, FAINT, HPos::Center)?;
            continue;
        }
        match panel.kind {
            Kind::Stat | Kind::Gauge => number(&inside, panel, lines)?,
            Kind::Bargauge => bars(&inside, panel, lines)?,
            Kind::Piechart => pie(&inside, lines)?,
            Kind::Table => table(&inside, panel, lines)?,
            Kind::Timeseries | Kind::Row => chart(&inside, panel, lines, seconds)?,
        }
    }
    area.present()?;
    Ok(())
}

fn write(
    area: &Area<'_>,
    text: &str,
    at: (i32, i32),
    size: i32,
    colour: RGBColor,
    anchor: HPos,
) -> Result<()> {
    let style = ("sans-serif", size).into_font().color(&colour);
    let style = style.pos(Pos::new(anchor, VPos::Center));
    Ok(area.draw(&Text::new(text.to_owned(), at, style))?)
}

fn middle(area: &Area<'_>) -> (i32, i32) {
    let (width, height) = area.dim_in_pixel();
    (width as i32 / 2, height as i32 / 2)
}

fn named(colour: &str) -> RGBColor {
    match colour {
        "red" => RED,
        "yellow" | "orange" => YELLOW,
        _ => GREEN,
    }
}

/// Draws the last value in a large font; for several lines, each in one part of the panel.
fn number(area: &Area<'_>, panel: &Panel, lines: &[Line]) -> Result<()> {
    for (part, line) in area.split_evenly((1, lines.len())).iter().zip(lines) {
        let (value, unit) = (line.last(), &panel.field_config.defaults.unit);
        let colour = named(panel.colour(value));
        let (x, y) = middle(part);
        let size = if lines.len() == 1 { 72 } else { 48 };
        write(
            part,
            &units::text(value, unit),
            (x, y),
            size,
            colour,
            HPos::Center,
        )?;
        if lines.len() > 1 {
            write(part, &line.name, (x, y + 60), 26, FAINT, HPos::Center)?;
        }
    }
    Ok(())
}

/// Draws the last values as bars.
fn bars(area: &Area<'_>, panel: &Panel, lines: &[Line]) -> Result<()> {
    let max = lines
        .iter()
        .map(Line::last)
        .fold(f64::MIN_POSITIVE, f64::max);
    let max = panel.field_config.defaults.max.unwrap_or(max);
    for (part, line) in area.split_evenly((lines.len(), 1)).iter().zip(lines) {
        let (_, y) = middle(part);
        let (width, left, right) = (part.dim_in_pixel().0 as i32, 260, 180);
        let value = line.last();
        let end = left + ((width - left - right) as f64 * (value / max).clamp(0.0, 1.0)) as i32;
        write(part, &line.name, (GAP, y), 26, TEXT, HPos::Left)?;
        let bar = |end, colour: RGBColor| {
            Rectangle::new([(left, y - 18), (end, y + 18)], colour.filled())
        };
        part.draw(&bar(width - right, GRID))?;
        part.draw(&bar(end, named(panel.colour(value))))?;
        let text = units::text(value, &panel.field_config.defaults.unit);
        write(part, &text, (width - GAP, y), 28, TEXT, HPos::Right)?;
    }
    Ok(())
}

/// Draws a pie chart of the last values.
fn pie(area: &Area<'_>, lines: &[Line]) -> Result<()> {
    let sum: f64 = lines.iter().map(Line::last).sum();
    let height = area.dim_in_pixel().1 as i32;
    let (radius, mut from) = (height as f64 / 2.0 - 20.0, -TAU / 4.0);
    let centre = (height / 2 + 60, height / 2);
    for (index, line) in lines.iter().enumerate() {
        let colour = PALETTE[index % PALETTE.len()];
        let share = if sum > 0.0 { line.last() / sum } else { 0.0 };
        let rim = (0..=60).map(|step| {
            let angle = from + TAU * share * f64::from(step) / 60.0;
            (
                centre.0 + (angle.cos() * radius) as i32,
                centre.1 + (angle.sin() * radius) as i32,
            )
        });
        let slice: Vec<_> = std::iter::once(centre).chain(rim).collect();
        area.draw(&Polygon::new(slice, colour.filled()))?;
        from += TAU * share;
        let y = 30 + index as i32 * 42;
        let x = height + 160;
        area.draw(&Rectangle::new(
            [(x, y - 4), (x + 28, y + 4)],
            colour.filled(),
        ))?;
        let text = format!("{}  {:.0} %", line.name, share * 100.0);
        write(area, &text, (x + 40, y), 26, TEXT, HPos::Left)?;
    }
    Ok(())
}

/// Draws a table of names and last values, the largest first.
fn table(area: &Area<'_>, panel: &Panel, lines: &[Line]) -> Result<()> {
    let (width, height) = area.dim_in_pixel();
    let mut lines: Vec<_> = lines.iter().collect();
    lines.sort_by(|a, b| b.last().total_cmp(&a.last()));
    let positions = (24..height as i32 - 10).step_by(46);
    for (line, y) in lines.iter().zip(positions) {
        write(area, &line.name, (GAP, y), 26, TEXT, HPos::Left)?;
        let text = units::text(line.last(), &panel.field_config.defaults.unit);
        write(area, &text, (width as i32 - GAP, y), 26, TEXT, HPos::Right)?;
        let under = vec![(0, y + 22), (width as i32, y + 22)];
        area.draw(&PathElement::new(under, GRID))?;
    }
    Ok(())
}

/// Draws lines over time, or stacked areas, with a legend.
fn chart(area: &Area<'_>, panel: &Panel, lines: &[Line], seconds: f64) -> Result<()> {
    let unit = &panel.field_config.defaults.unit;
    let rows = legend(area, lines)?;
    let stacked = panel.is_stacked();
    let bands = if stacked {
        stack(lines)
    } else {
        from_zero(lines)
    };
    let values = bands.iter().flatten().map(|(_, _, value)| *value);
    let max = values.fold(0.0, f64::max);
    let max = if max > 0.0 { max * 1.1 } else { 1.0 };
    // Axis ticks are decimal, so bytes are scaled to KiB, MiB and so on first.
    let scale = match &**unit {
        "bytes" | "binBps" => 1024_f64.powf(max.log(1024.0).floor()),
        _ => 1.0,
    };
    let mut chart = ChartBuilder::on(area)
        .margin_bottom(rows * 40)
        .margin_right(30)
        .x_label_area_size(44)
        .y_label_area_size(130)
        .build_cartesian_2d(0.0..seconds, 0.0..max / scale)?;
    let label = ("sans-serif", 28).into_font().color(&FAINT);
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .axis_style(GRID)
        .label_style(label)
        .x_labels(7)
        .y_labels(5)
        .x_label_formatter(&|at| format!("{}:{:02}", *at as u32 / 60, *at as u32 % 60))
        .y_label_formatter(&|value| units::text(*value * scale, unit))
        .draw()?;
    let opacity = if stacked { 0.45 } else { 0.08 };
    for (index, points) in bands.iter().enumerate() {
        let colour = PALETTE[index % PALETTE.len()];
        let upper = points.iter().map(|(at, _, value)| (*at, *value / scale));
        if stacked || bands.len() < 4 {
            let lower = points
                .iter()
                .rev()
                .map(|(at, base, _)| (*at, *base / scale));
            let outline: Vec<_> = upper.clone().chain(lower).collect();
            chart.draw_series([Polygon::new(outline, colour.mix(opacity))])?;
        }
        chart.draw_series([PathElement::new(
            upper.collect::<Vec<_>>(),
            colour.stroke_width(3),
        )])?;
    }
    Ok(())
}

/// The area of a line, by time: seconds since the start, lower value, upper value.
type Band = Vec<(f64, f64, f64)>;

fn from_zero(lines: &[Line]) -> Vec<Band> {
    let band = |line: &Line| {
        let points = line.points.iter().filter(|(_, value)| value.is_finite());
        points.map(|(at, value)| (*at, 0.0, *value)).collect()
    };
    lines.iter().map(band).collect()
}

fn stack(lines: &[Line]) -> Vec<Band> {
    // Keys are in milliseconds, because floats cannot be keys.
    let mut heights: BTreeMap<i64, f64> = BTreeMap::new();
    let key = |at: f64| (at * 1000.0) as i64;
    let points = lines.iter().flat_map(|line| &line.points);
    heights.extend(points.map(|(at, _)| (key(*at), 0.0)));
    let mut bands = Vec::new();
    for line in lines {
        let values: BTreeMap<_, _> = line.points.iter().map(|(at, v)| (key(*at), *v)).collect();
        let band = heights.iter_mut().map(|(at, height)| {
            let value = values.get(at).filter(|value| value.is_finite());
            let base = *height;
            *height += value.copied().unwrap_or(0.0);
            (*at as f64 / 1000.0, base, *height)
        });
        bands.push(band.collect());
    }
    bands
}

/// Draws the names below the chart, in at most two rows. Returns the number of rows.
fn legend(area: &Area<'_>, lines: &[Line]) -> Result<u32> {
    let (width, height) = area.dim_in_pixel();
    let (mut x, mut entries) = (20, Vec::new());
    let mut row = 0;
    for (index, line) in lines.iter().enumerate() {
        // A character of font size 26 is about 13 pixels wide.
        let width_of_entry = 60 + line.name.chars().count() as i32 * 13;
        if x + width_of_entry > width as i32 - 140 && x > 20 {
            if row == 1 {
                entries.push((x, row, None, format!("and {} more", lines.len() - index)));
                break;
            }
            (x, row) = (20, row + 1);
        }
        entries.push((
            x,
            row,
            Some(PALETTE[index % PALETTE.len()]),
            line.name.clone(),
        ));
        x += width_of_entry;
    }
    let rows = row + 1;
    for (x, row, colour, name) in entries {
        let y = height as i32 - (rows - row) * 40 + 24;
        if let Some(colour) = colour {
            area.draw(&Rectangle::new(
                [(x, y - 3), (x + 28, y + 3)],
                colour.filled(),
            ))?;
        }
        write(area, &name, (x + 38, y), 26, TEXT, HPos::Left)?;
    }
    Ok(rows as u32)
}
