//! The charts of the page: exchanges over time, statuses, the distribution of latency.
//!
//! They are plain SVG in units of their own, which the page scales. Colours are classes of
//! `page.css`. Every mark has its numbers as a tooltip.

use std::collections::BTreeMap;
use std::fmt::{Result, Write};

use hdrhistogram::Histogram;

use super::timeline::StatusTimeline;
use super::{CLASSES, Group};
use crate::text::{duration, grouped};

const WIDTH: f64 = 960.0;
const HALF: f64 = 470.0;
const HEIGHT: f64 = 220.0;
/// Margins for the axis labels.
const LEFT: f64 = 56.0;
const BELOW: f64 = 26.0;
const ABOVE: f64 = 12.0;

/// Order of the classes in a stack, from below: successes first, so that failures stand out on top.
const STACK: [usize; CLASSES.len()] = [0, 1, 2, 5, 6, 3, 4];

/// Draws exchanges over time as bars, stacked by class of status.
pub(super) fn over_time(timeline: &StatusTimeline, page: &mut String) -> Result {
    let bins: Vec<_> = timeline.bins().collect();
    let Some((first, _)) = bins.first().copied() else { return nothing(page) };
    let most = bins.iter().map(|(_, counts)| counts.iter().sum()).max().unwrap_or(1).max(1);
    open(page, WIDTH, HEIGHT)?;
    scale(page, WIDTH, most)?;
    let step = (WIDTH - LEFT) / bins.len().max(1) as f64;
    for (at, (time, counts)) in bins.iter().enumerate() {
        let mut top = HEIGHT - BELOW;
        let when = time.rfc3339(Default::default()).to_string();
        for class in STACK {
            if counts[class] == 0 {
                continue;
            }
            let height = counts[class] as f64 / most as f64 * (HEIGHT - BELOW - ABOVE);
            top -= height;
            writeln!(
                page,
                "<rect class=\"c{class}\" x=\"{:.2}\" y=\"{top:.2}\" width=\"{:.2}\" height=\"{height:.2}\">\
                 <title>{when}: {} × {}</title></rect>",
                LEFT + at as f64 * step,
                (step - 1.0).clamp(0.8, 40.0),
                grouped(counts[class]),
                CLASSES[class]
            )?;
        }
    }
    let last = bins.last().map_or(first, |(time, _)| *time);
    label(page, LEFT, HEIGHT - 8.0, "start", clock(&first.rfc3339(Default::default()).to_string()))?;
    let middle = format!("each bar {}", duration(timeline.width));
    label(page, (WIDTH + LEFT) / 2.0, HEIGHT - 8.0, "middle", &middle)?;
    if bins.len() > 1 {
        label(page, WIDTH, HEIGHT - 8.0, "end", clock(&last.rfc3339(Default::default()).to_string()))?;
    }
    close(page)
}

/// Returns the time of day of an RFC 3339 time, without trailing zeros.
fn clock(time: &str) -> &str {
    time.split_once('T').map_or(time, |(_, clock)| clock.trim_end_matches(['Z', '0']).trim_end_matches('.'))
}

/// Draws a bar per class of status, labelled with the codes in it.
pub(super) fn statuses(total: &Group, codes: &BTreeMap<u16, u64>, page: &mut String) -> Result {
    let rows: Vec<_> = (0..CLASSES.len()).filter(|&class| total.classes[class] > 0).collect();
    if rows.is_empty() {
        return nothing(page);
    }
    let most = rows.iter().map(|&class| total.classes[class]).max().unwrap_or(1).max(1);
    let (row_height, left) = (30.0, 92.0);
    open(page, HALF, row_height * rows.len() as f64)?;
    for (at, class) in rows.into_iter().enumerate() {
        let number = total.classes[class];
        let y = at as f64 * row_height;
        let width = number as f64 / most as f64 * (HALF - left - 210.0);
        let of_class = |code: &&u16| class < 5 && usize::from(**code / 100) == class + 1;
        let all: Vec<_> =
            codes.keys().filter(of_class).map(|code| format!("{code} × {}", grouped(codes[code]))).collect();
        let shown = if all.len() > 2 { format!("{}, …", all[..2].join(", ")) } else { all.join(", ") };
        label(page, left - 8.0, y + 19.0, "end", CLASSES[class])?;
        writeln!(
            page,
            "<rect class=\"c{class}\" x=\"{left}\" y=\"{:.1}\" width=\"{:.2}\" height=\"20\" rx=\"3\">\
             <title>{} × {}: {}</title></rect>",
            y + 5.0,
            width.max(2.0),
            grouped(number),
            CLASSES[class],
            all.join(", ")
        )?;
        let share = number as f64 / total.exchanges.max(1) as f64 * 100.0;
        let what = if shown.is_empty() { grouped(number) } else { shown };
        label(page, left + width.max(2.0) + 8.0, y + 19.0, "start", &format!("{what}  ({share:.1} %)"))?;
    }
    close(page)
}

/// Draws the distribution of latency on a logarithmic axis, three bins per doubling.
pub(super) fn latencies(latency: &Histogram<u32>, page: &mut String) -> Result {
    if latency.is_empty() {
        return nothing(page);
    }
    let mut bins: BTreeMap<i32, u64> = BTreeMap::new();
    for value in latency.iter_recorded() {
        let nanos = value.value_iterated_to().max(1) as f64;
        *bins.entry((nanos.log2() * 3.0).floor() as i32).or_default() += value.count_since_last_iteration();
    }
    let (first, last) = (bins.keys().min().copied().unwrap_or(0), bins.keys().max().copied().unwrap_or(0));
    let most = bins.values().copied().max().unwrap_or(1).max(1);
    open(page, HALF, HEIGHT)?;
    scale(page, HALF, most)?;
    let count = f64::from(last - first + 1).max(6.0);
    let step = (HALF - LEFT) / count;
    let begins = |bin: i32| duration((f64::from(bin) / 3.0).exp2().round() as u64);
    for (&bin, &number) in &bins {
        let height = number as f64 / most as f64 * (HEIGHT - BELOW - ABOVE);
        writeln!(
            page,
            "<rect class=\"bar\" x=\"{:.2}\" y=\"{:.2}\" width=\"{:.2}\" height=\"{height:.2}\">\
             <title>{} to {}: {}</title></rect>",
            LEFT + f64::from(bin - first) * step,
            HEIGHT - BELOW - height,
            (step - 1.0).max(0.8),
            begins(bin),
            begins(bin + 1),
            grouped(number)
        )?;
    }
    let every = (count / 5.0).ceil().max(1.0) as i32;
    for bin in (first..=last).step_by(usize::try_from(every).unwrap_or(1)) {
        label(page, LEFT + f64::from(bin - first) * step, HEIGHT - 8.0, "start", &begins(bin))?;
    }
    close(page)
}

fn open(page: &mut String, width: f64, height: f64) -> Result {
    writeln!(page, "<svg viewBox=\"0 0 {width} {height}\" role=\"img\">")
}

fn close(page: &mut String) -> Result {
    page.push_str("</svg>\n");
    Ok(())
}

fn nothing(page: &mut String) -> Result {
    page.push_str("<p class=\"none\">Nothing to show.</p>\n");
    Ok(())
}

/// Draws horizontal lines with their numbers: zero, half if it is a whole number, and `most`.
fn scale(page: &mut String, width: f64, most: u64) -> Result {
    let marks = if most.is_multiple_of(2) { vec![0, most / 2, most] } else { vec![0, most] };
    for number in marks {
        let y = HEIGHT - BELOW - number as f64 / most as f64 * (HEIGHT - BELOW - ABOVE);
        writeln!(page, "<line x1=\"{LEFT}\" x2=\"{width}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>")?;
        label(page, LEFT - 6.0, y + 4.0, "end", &grouped(number))?;
    }
    Ok(())
}

fn label(page: &mut String, x: f64, y: f64, anchor: &str, text: &str) -> Result {
    writeln!(page, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>")
}
