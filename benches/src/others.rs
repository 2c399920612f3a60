//! Other tools, if they are installed: the best command for the same task, its cost and its
//! findings.
//!
//! Each takes turns with the replay, because the machine's speed drifts; a tool that is a hundred
//! times as slow runs once. What they find is counted, because a tool that finds nothing is not
//! fast.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::measure;
use crate::measure::count_lines;

/// The result of another tool for a capture.
pub(crate) struct Other {
    pub(crate) name: &'static str,
    /// CPU seconds, each with those of the replay. None if the tool failed or ran longer than
    /// [`LIMIT`].
    pub(crate) pairs: Vec<[f64; 2]>,
    /// Number of output lines, if they are messages or exchanges and the tool ended.
    pub(crate) found: Option<u64>,
}

/// Seconds that another tool may run. Arbitrary: tshark needs hours for bodies of many megabytes.
pub(crate) const LIMIT: u32 = 120;

/// Turns of a tool, unless it took more than this many seconds before.
const TURNS: usize = 5;
const ENOUGH: f64 = 10.0;

/// The output of a tool, in its folder.
const PRINTED: &str = "printed";

/// Runs each tool in turns with the `replay`, in a new folder.
pub(crate) fn run(path: &str, replay: &[String], folder: &Path) -> io::Result<Vec<Other>> {
    let place = folder.display();
    let tshark = format!(
        "tshark -n -r {path} -o tcp.check_checksum:FALSE -Y http -T fields -e frame.number -e http.request.method -e \
         http.request.uri -e http.response.code -e http.content_length"
    );
    let tcpflow = format!("tcpflow -a -r {path} -o {place}/flows");
    let suricata = format!(
        "suricata -c {}/suricata.yaml -r {path} -l {place} -k none --runmode single",
        env!("CARGO_MANIFEST_DIR")
    );
    let tools =
        [("tshark", tshark, Some(PRINTED)), ("tcpflow", tcpflow, None), ("suricata", suricata, Some("eve.json"))];
    let mut others = Vec::new();
    for (name, command, lines) in tools.into_iter().filter(|(name, ..)| is_there(name)) {
        let command: Vec<String> = format!("timeout {LIMIT} {command}").split(' ').map(str::to_owned).collect();
        let (mut pairs, mut found) = (Vec::<[f64; 2]>::new(), None);
        while pairs.len() < TURNS && pairs.iter().map(|[cpu, _]| cpu).sum::<f64>() < ENOUGH {
            fs::create_dir_all(folder)?;
            let own = measure::once(replay, measure::NOWHERE)?.cpu;
            let ended = measure::once(&command, &folder.join(PRINTED).display().to_string());
            if ended.is_ok()
                && let Some(file) = lines
            {
                found = Some(count_lines(File::open(folder.join(file))?, |_| {})?);
            }
            fs::remove_dir_all(folder)?;
            let Ok(cost) = ended else { break };
            pairs.push([cost.cpu, own]);
        }
        others.push(Other { name, pairs, found });
    }
    Ok(others)
}

fn is_there(name: &str) -> bool {
    Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}
