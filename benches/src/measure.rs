//! The cost of a command: processor time, wall time and peak memory, as the operating system
//! accounts for them.
//!
//! A child process runs the command and nothing else, so that the accounts of the child's children
//! are those of the command. Commands that are compared take turns: the machine's speed drifts, but
//! ratios within one turn hold.

use std::fs::File;
use std::io::{self, Read};
use std::process::{Command, Stdio};
use std::time::Instant;

/// The argument that turns a process into such a child. The output file and the command follow.
pub(crate) const RUN: &str = "--run";

/// Output file of commands that are compared.
pub(crate) const NOWHERE: &str = "/dev/null";

/// The cost of one run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    pub(crate) cpu: f64,
    pub(crate) wall: f64,
    pub(crate) peak_mib: f64,
}

/// Runs each command `turns` times, in turns, after one run that does not count.
pub(crate) fn in_turns<const N: usize>(commands: &[Vec<String>; N], turns: usize) -> io::Result<[Vec<Cost>; N]> {
    let mut costs = [const { Vec::new() }; N];
    for turn in 0..=turns {
        for (command, costs) in commands.iter().zip(&mut costs) {
            let cost = once(command, NOWHERE)?;
            if turn > 0 {
                costs.push(cost);
            }
        }
    }
    Ok(costs)
}

/// Runs a command once, with its output in a file.
pub(crate) fn once(command: &[String], out: &str) -> io::Result<Cost> {
    let output =
        Command::new(std::env::current_exe()?).args([RUN, out]).args(command).stderr(Stdio::inherit()).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut numbers = text.split_whitespace().map(str::parse::<f64>);
    match (numbers.next(), numbers.next(), numbers.next()) {
        (Some(Ok(cpu)), Some(Ok(wall)), Some(Ok(peak_mib))) => Ok(Cost { cpu, wall, peak_mib }),
        _ => Err(io::Error::other(format!("{}: {}", command.join(" "), output.status))),
    }
}

/// In the child: runs a command with its output in a file and prints its cost.
pub(crate) fn run(command: &[String]) -> io::Result<()> {
    let [out, program, arguments @ ..] = command else { return Err(io::Error::other("nothing to run")) };
    let out = File::create(out)?;
    let start = Instant::now();
    let status = Command::new(program).args(arguments).stdout(out).stderr(Stdio::null()).status()?;
    let wall = start.elapsed().as_secs_f64();
    if !status.success() {
        return Err(io::Error::other(format!("{program}: {status}")));
    }
    let (cpu, peak_mib) = usage()?;
    println!("{cpu} {wall} {peak_mib}");
    Ok(())
}

#[cfg(unix)]
fn usage() -> io::Result<(f64, f64)> {
    use nix::sys::resource::{UsageWho, getrusage};
    use nix::sys::time::TimeValLike as _;
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    // In kibibytes on Linux, in bytes on macOS.
    let unit = if cfg!(target_os = "macos") { 1 << 20 } else { 1 << 10 };
    Ok((micros as f64 / 1e6, usage.max_rss() as f64 / f64::from(unit)))
}

#[cfg(not(unix))]
fn usage() -> io::Result<(f64, f64)> {
    Err(io::Error::other("only Unix tells what a child cost"))
}

/// Minimum, median and maximum.
pub(crate) fn spread(values: impl Iterator<Item = f64>) -> [f64; 3] {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let at = |part: usize| values.get((values.len().saturating_sub(1)) * part / 2).copied().unwrap_or(f64::NAN);
    [at(0), at(1), at(2)]
}

/// Reads to the end and counts lines; `each` gets all bytes.
pub(crate) fn count_lines(mut from: impl Read, mut each: impl FnMut(&[u8])) -> io::Result<u64> {
    let (mut lines, mut buffer) = (0, vec![0; 1 << 20]);
    loop {
        let read = from.read(&mut buffer)?;
        if read == 0 {
            return Ok(lines);
        }
        lines += buffer[..read].iter().filter(|&&byte| byte == b'\n').count() as u64;
        each(&buffer[..read]);
    }
}
