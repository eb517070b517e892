//! How fields look in the log for people: without those that the line says anyway.

use std::fmt;

use tracing::field::{Field, Visit};
use tracing_subscriber::field::{RecordFields, VisitOutput as _};
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::{DefaultVisitor, Writer};

/// For exporters alone; and the method, which stands in the call's span.
const HIDDEN: [&str; 2] = ["otel.kind", "method"];

/// The usual format, less what is hidden.
#[derive(Debug)]
pub(super) struct Brief;

impl<'writer> FormatFields<'writer> for Brief {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut visitor = Visible(DefaultVisitor::new(writer, true));
        fields.record(&mut visitor);
        visitor.0.finish()
    }
}

struct Visible<'a>(DefaultVisitor<'a>);

impl Visit for Visible<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if !HIDDEN.contains(&field.name()) {
            self.0.record_str(field, value);
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        if !HIDDEN.contains(&field.name()) {
            self.0.record_error(field, value);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if !HIDDEN.contains(&field.name()) {
            self.0.record_debug(field, value);
        }
    }
}
