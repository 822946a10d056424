//! Where the log goes, and in which form.

use std::io::IsTerminal;

use tracing::Subscriber;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use crate::config::{LogFormat, LogLevel};

type BoxedLayer<S> = Box<dyn Layer<S> + Send + Sync>;

/// Starts the log. `extra` sees what it asks for whatever the level.
///
/// # Errors
/// When the journal was asked for and cannot be reached, or a log was started already.
pub fn start(
    level: LogLevel,
    format: LogFormat,
    extra: Option<BoxedLayer<tracing_subscriber::Registry>>,
) -> anyhow::Result<()> {
    let filter = Targets::new()
        .with_default(level.filter())
        // The steps of each ring are for who asks for them by name.
        .with_target("bellhop::ring", LevelFilter::OFF)
        // What wasmtime finds remarkable about its own files is not.
        .with_target("wasmtime", LevelFilter::WARN);
    let registry = tracing_subscriber::registry().with(extra);
    registry.with(layer(format)?.with_filter(filter)).try_init()?;
    Ok(())
}

fn layer<S>(format: LogFormat) -> anyhow::Result<BoxedLayer<S>>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    // systemd sets this for services whose standard error is the journal.
    let format = match format {
        LogFormat::Auto if std::env::var_os("JOURNAL_STREAM").is_some() => LogFormat::Journald,
        LogFormat::Auto => LogFormat::Human,
        chosen => chosen,
    };
    Ok(match format {
        LogFormat::Journald => tracing_journald::layer()
            .map_err(|error| {
                anyhow::anyhow!("Cannot reach the journal: {error}; set log format to human or json")
            })?
            .with_syslog_identifier("bellhop".to_owned())
            .boxed(),
        LogFormat::Json => fmt::layer().json().flatten_event(true).with_writer(std::io::stderr).boxed(),
        LogFormat::Human | LogFormat::Auto => fmt::layer()
            .with_target(false)
            .with_ansi(std::io::stderr().is_terminal())
            .with_writer(std::io::stderr)
            .boxed(),
    })
}

impl LogLevel {
    fn filter(self) -> LevelFilter {
        match self {
            Self::Error => LevelFilter::ERROR,
            Self::Warn => LevelFilter::WARN,
            Self::Info => LevelFilter::INFO,
            Self::Debug => LevelFilter::DEBUG,
            Self::Trace => LevelFilter::TRACE,
        }
    }
}
