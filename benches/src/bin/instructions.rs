//! Runs one stage, once or twice: `instructions NAME TIMES`. The difference that valgrind counts is
//! the stage alone.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let (Some(name), Some(times)) = (arguments.get(1), arguments.get(2).and_then(|times| times.parse::<usize>().ok()))
    else {
        sniffer_bench::cases().iter().for_each(|case| println!("{case}"));
        return ExitCode::SUCCESS;
    };
    for case in sniffer_bench::cases() {
        if case.name == name {
            (0..times).for_each(|_| {
                std::hint::black_box(case.run());
            });
        }
    }
    ExitCode::SUCCESS
}
