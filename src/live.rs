//! `sniffer live` and `sniffer interfaces`: builds the configuration from arguments and
//! environment, then runs the sniffer.
//!
//! The configuration checks the values, not this file. Next: the crate `sniffer-live`.

use std::io::{self, Write};
use std::sync::Arc;

use sniffer_formats::text::escape;
use sniffer_live::config::{ConfigField, Values};
use sniffer_live::log::Logging;
use sniffer_live::sniffer::Extras;
use sniffer_live::{LiveConfig, RunEnd, Sniffer, StartError};

use crate::cli::live::LiveOptions;
use crate::exit::{Exit, say};
use crate::interrupt::Interrupt;

/// Runs `sniffer live` until it is stopped. All errors are on stderr when it returns.
pub(crate) fn run(options: &LiveOptions) -> Exit {
    let environment = |name: &str| std::env::var(name).ok();
    let config = match LiveConfig::new(&values(options, &environment), &environment) {
        Ok(config) => config,
        Err(error) => {
            say(error);
            return Exit::Usage;
        }
    };
    // Dropping it writes the queued lines.
    let _logging = Logging::to_stderr();
    let mut extras = Extras::default();
    extras.record = options.write_pcap.clone();
    let sniffer = Arc::new(Sniffer::new(config, extras));
    let stopped = {
        let sniffer = Arc::clone(&sniffer);
        Interrupt::install().and_then(|interrupt| interrupt.then(move || sniffer.stop()).map(|()| interrupt))
    };
    let interrupt = match stopped {
        Ok(interrupt) => interrupt,
        Err(error) => {
            say(format_args!("cannot watch for signals: {error}"));
            return Exit::Failed;
        }
    };
    if let Err(error) = sniffer.start() {
        return refused(&error);
    }
    // The signal may have come before the start, when there was nothing to stop.
    if interrupt.signal().is_some() {
        sniffer.stop();
    }
    match sniffer.wait().map(|report| report.end) {
        Some(RunEnd::OutputFailed(_) | RunEnd::CaptureFailed(_)) => Exit::Failed,
        _ => Exit::Success,
    }
}

/// Runs `sniffer interfaces`.
pub(crate) fn interfaces() -> Exit {
    let interfaces = match sniffer_live::interfaces() {
        Ok(interfaces) => interfaces,
        Err(words) => {
            say(words);
            return Exit::Failed;
        }
    };
    let mut text = String::new();
    let width = interfaces.iter().map(|interface| interface.name.len()).max().unwrap_or_default();
    for interface in &interfaces {
        let mut about: Vec<_> = interface.addresses.iter().map(ToString::to_string).collect();
        about.extend(interface.loopback.then(|| "loopback".to_owned()));
        about.extend((!interface.up).then(|| "down".to_owned()));
        about.extend(interface.description.clone());
        about.extend(interface.probe().err().map(|words| format!("not now: {words}")));
        let line = format!("{:<width$}  {}", interface.name, about.join(", "));
        text.push_str(&escape(line.trim_end()));
        text.push('\n');
    }
    // A reader that closes the pipe early is no error.
    let _ = io::stdout().write_all(text.as_bytes());
    Exit::Success
}

/// Collects the values of the environment, overridden by those of the arguments.
fn values(options: &LiveOptions, environment: &dyn Fn(&str) -> Option<String>) -> Values {
    let mut values = Values::from_environment(environment);
    let lists =
        [(ConfigField::Ports, &options.ports, "--port"), (ConfigField::RedactHeaders, &options.redact, "--redact")];
    for (field, given, by) in lists {
        if !given.is_empty() {
            values.set_text(field, &given.join(","), by);
        }
    }
    let texts = [
        (ConfigField::Interface, &options.interface, "--interface"),
        (ConfigField::OutputUrl, &options.output_url, "--output-url"),
        (ConfigField::SampleRate, &options.sample_rate, "--sample-rate"),
        (ConfigField::MaxBodySize, &options.max_body_size, "--max-body-size"),
        (ConfigField::MaxConcurrentConnections, &options.max_connections, "--max-connections"),
        (ConfigField::ConnectionIdleTimeoutMs, &options.idle_timeout_ms, "--idle-timeout-ms"),
        (ConfigField::BufferSizeBytes, &options.buffer_size, "--buffer-size"),
        (ConfigField::Snaplen, &options.snaplen, "--snaplen"),
        (ConfigField::DrainTimeoutMs, &options.drain_timeout_ms, "--drain-timeout-ms"),
    ];
    for (field, given, by) in texts {
        if let Some(text) = given {
            values.set_text(field, text, by);
        }
    }
    if options.promiscuous {
        values.set_text(ConfigField::Promiscuous, "true", "--promiscuous");
    }
    // Without any output configured, messages go to standard output.
    if options.stdout || !values.has(ConfigField::OutputUrl) && !values.has(ConfigField::OutputStdout) {
        values.set_text(ConfigField::OutputStdout, "true", "--stdout");
    }
    values
}

fn refused(error: &StartError) -> Exit {
    match error.remedy() {
        Some(remedy) => say(format_args!("{error}; {remedy}")),
        None => say(error),
    }
    Exit::Failed
}
