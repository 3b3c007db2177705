//! `/metrics`: Prometheus's text format, version 0.0.4.

use std::fmt::{Display, Write};

use super::{Figure, Kind, Labels, Page, of_delivery, of_gateway};
use crate::admin::Admin;

/// All figures.
pub(crate) fn text(admin: &Admin) -> String {
    let mut page = Text {
        text: String::with_capacity(8 << 10),
        family: "",
    };
    of_gateway(admin, &mut page);
    of_delivery(&admin.exchange.now().client.balancer().stats(), &mut page);
    page.text
}

/// The text so far, and the name of the family that samples are of.
struct Text {
    text: String,
    family: &'static str,
}

impl Page for Text {
    fn family(&mut self, name: &'static str, kind: Kind, help: &'static str) {
        self.family = name;
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Summary => "summary",
        };
        // Writing to a string does not fail, here and below.
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, labels: Labels<'_>, value: impl Into<Figure>) {
        match value.into() {
            Figure::Count(count) => self.line("", labels, count),
            Figure::Real(real) => self.line("", labels, real),
        }
    }

    fn summary(&mut self, labels: Labels<'_>, quantiles: &[(&str, f64)], sum: f64, count: u64) {
        for (quantile, value) in quantiles {
            let mut labels = labels.to_vec();
            labels.push(("quantile", quantile));
            self.line("", &labels, value);
        }
        self.line("_sum", labels, sum);
        self.line("_count", labels, count);
    }
}

impl Text {
    fn line(&mut self, suffix: &str, labels: Labels<'_>, value: impl Display) {
        let _ = write!(self.text, "{}{suffix}", self.family);
        for (index, (label, text)) in labels.iter().enumerate() {
            let text = text
                .replace('\\', "\\\\")
                .replace('"', "\\\"")
                .replace('\n', "\\n");
            let _ = write!(
                self.text,
                "{}{label}=\"{text}\"",
                if index == 0 { '{' } else { ',' }
            );
        }
        let _ = writeln!(self.text, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }
}
