//! Log lines on standard error: compact for a reader at a terminal, `key=value` for a machine.

use std::fmt;
use std::io::IsTerminal;

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

/// Starts logging. `RUST_LOG` says what is logged, else `level` holds.
pub(crate) fn start(level: &str) {
    let wished = std::env::var("RUST_LOG").ok().filter(|wished| !wished.is_empty());
    let filter = wished.as_deref().map_or(Ok(EnvFilter::new(level)), EnvFilter::try_new);
    let (filter, refused) = match filter {
        Ok(filter) => (filter, None),
        Err(error) => (EnvFilter::new(level), Some(error)),
    };
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() {
        lines.compact().with_target(false).init();
    } else {
        lines.fmt_fields(KeyValue).event_format(KeyValue).init();
    }
    if let Some(error) = refused {
        tracing::warn!(%error, "RUST_LOG is not understood; the level is {level}");
    }
}

/// Logs where a panic happened, and never its message, which may hold what a peer sent.
pub(crate) fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, thread = thread.name().unwrap_or_default(), "panicked");
    }));
}

/// Lines of `key=value` pairs; values with spaces or anything odd stand in quotes, escaped, so that one event is one line.
struct KeyValue;

impl<S, N> FormatEvent<S, N> for KeyValue
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        writer.write_str("time=")?;
        SystemTime.format_time(&mut writer)?;
        let level = event.metadata().level().as_str().to_ascii_lowercase();
        write!(writer, " level={level} target={} ", event.metadata().target())?;
        context.format_fields(writer.by_ref(), event)?;
        for span in context.event_scope().into_iter().flat_map(|scope| scope.from_root()) {
            match span.extensions().get::<FormattedFields<N>>() {
                Some(fields) if !fields.is_empty() => write!(writer, " {fields}")?,
                Some(_) | None => {}
            }
        }
        writeln!(writer)
    }
}

impl<'w> FormatFields<'w> for KeyValue {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'w>, fields: R) -> fmt::Result {
        let mut pairs = Pairs { writer, is_first: true, result: Ok(()) };
        fields.record(&mut pairs);
        pairs.result
    }
}

struct Pairs<'w> {
    writer: Writer<'w>,
    is_first: bool,
    result: fmt::Result,
}

impl Visit for Pairs<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let key = if field.name() == "message" { "msg" } else { field.name() };
        let space = if std::mem::take(&mut self.is_first) { "" } else { " " };
        let is_plain = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '=' | '\\');
        let written = if !value.is_empty() && value.chars().all(is_plain) {
            write!(self.writer, "{space}{key}={value}")
        } else {
            write!(self.writer, "{space}{key}={value:?}")
        };
        self.result = self.result.and(written);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is logged, less the time.
    fn logged(log: impl FnOnce()) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(move || writer.clone())
            .fmt_fields(KeyValue)
            .event_format(KeyValue)
            .finish();
        tracing::subscriber::with_default(subscriber, log);
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        text.split_once(' ').unwrap().1.to_owned()
    }

    #[test]
    fn one_event_is_one_line_of_pairs() {
        let line = logged(|| {
            let span = tracing::info_span!("association", assoc = 7);
            let _entered = span.enter();
            tracing::warn!(target: "net", calling = "STORE SCU", bytes = 12, "aborted");
        });
        assert_eq!(line, "level=warn target=net msg=aborted calling=\"STORE SCU\" bytes=12 assoc=7\n");
    }

    #[test]
    fn values_cannot_forge_lines_or_pairs() {
        let line = logged(|| tracing::info!(target: "net", calling = %"A\nlevel=error \u{1b}[31m", "x"));
        assert_eq!(line, "level=info target=net msg=x calling=\"A\\nlevel=error \\u{1b}[31m\"\n");
    }
}
