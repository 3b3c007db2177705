//! The kinds of telemetry, and where in their requests the items are.

use crate::WireError;
use crate::reader::{Place, Reader};

/// What a request carries. All have the same frame: resources, in each its scopes, in each the items.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Signal {
    /// `ExportTraceServiceRequest`; its items are spans.
    Traces,
    /// `ExportMetricsServiceRequest`; its items are data points.
    Metrics,
    /// `ExportLogsServiceRequest`; its items are log records.
    Logs,
    /// `ExportProfilesServiceRequest`; its items are profiles. They have no trace id of their own, and are best
    /// sent as they are: what they refer to is in a dictionary of the whole request, which a split copies into
    /// each part; and names of attributes may be there too, where a route does not look.
    Profiles,
}

/// Fields of the frame, the same for all signals: the resources of a request, the scopes of a resource,
/// the items of a scope.
pub(crate) const RESOURCE: u32 = 1;
pub(crate) const SCOPE: u32 = 2;
pub(crate) const ITEM: u32 = 2;

impl Signal {
    /// Every signal.
    pub const ALL: [Self; 4] = [Self::Traces, Self::Metrics, Self::Logs, Self::Profiles];

    /// The signal as one lower-case word, for labels.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Metrics => "metrics",
            Self::Logs => "logs",
            Self::Profiles => "profiles",
        }
    }

    /// The field of an item that holds its trace id.
    pub(crate) const fn trace_id_field(self) -> Option<u32> {
        match self {
            Self::Traces => Some(1),
            Self::Logs => Some(9),
            Self::Metrics | Self::Profiles => None,
        }
    }

    /// The field of an item that holds the id of its span.
    pub(crate) const fn span_id_field(self) -> Option<u32> {
        match self {
            Self::Traces => Some(2),
            Self::Logs => Some(10),
            Self::Metrics | Self::Profiles => None,
        }
    }

    /// How many items a field of a scope is worth: one, or the data points of a metric.
    pub(crate) fn items_of(self, reader: Reader<'_>, item: Place) -> Result<usize, WireError> {
        match self {
            Self::Traces | Self::Logs | Self::Profiles => Ok(1),
            Self::Metrics => data_points(reader, item),
        }
    }
}

/// Counts the data points of a metric: gauge, sum, histogram, exponential histogram or summary, whose
/// points are all field 1. It is one of them; should there be several, the last kind is the one that
/// counts, as with every decoder.
fn data_points(reader: Reader<'_>, metric: Place) -> Result<usize, WireError> {
    const POINT: u32 = 1;
    let mut fields = reader.inside(metric);
    let (mut kind, mut points) = (0, 0);
    while let Some(field) = fields.next()? {
        let (5 | 7 | 9 | 10 | 11, Some(data)) = (field.number, field.inner) else {
            continue;
        };
        if field.number != kind {
            (kind, points) = (field.number, 0);
        }
        let mut data = reader.inside(data);
        while let Some(field) = data.next()? {
            points += usize::from(field.number == POINT && field.inner.is_some());
        }
    }
    Ok(points)
}
