//! Microbenchmarks: `cargo bench -p sniffer-bench`. Their times vary; counts of instructions do
//! not.

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use sniffer_bench::{Case, cases};

fn main() {
    divan::main();
}

#[divan::bench(args = cases())]
fn stage(bencher: Bencher<'_, '_>, case: &Case) {
    bencher.counter(BytesCount::new(case.bytes())).bench_local(|| black_box(case).run());
}
