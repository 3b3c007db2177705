//! [`ServiceError`]: what a backend's service said, whatever its type.

use std::error::Error;
use std::fmt;

/// An error of the service behind a backend, of its response's body, or of the request's own. Its
/// source is that error, of its own type.
pub struct ServiceError(BoxError);

/// An error of any type, as tower passes them on.
pub(super) type BoxError = Box<dyn Error + Send + Sync>;

/// So many causes are printed: a chain may be a ring.
const CAUSES: usize = 16;

impl ServiceError {
    pub(super) fn new(error: impl Into<BoxError>) -> Self {
        Self(error.into())
    }

    /// The error itself.
    #[must_use]
    pub fn get_ref(&self) -> &(dyn Error + Send + Sync + 'static) {
        &*self.0
    }

    /// The error itself.
    #[must_use]
    pub fn into_inner(self) -> Box<dyn Error + Send + Sync> {
        self.0
    }
}

/// The error and its causes: what clients say of an attempt is often in the last of them only
/// (`client error (Connect): tcp connect error: Connection refused`).
impl fmt::Display for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut said = self.0.to_string();
        f.write_str(&said)?;
        let mut cause = self.0.source();
        for _ in 0..CAUSES {
            let Some(error) = cause else { break };
            let says = error.to_string();
            // Some print their cause themselves.
            if !said.contains(&says) {
                write!(f, ": {says}")?;
                said = says;
            }
            cause = error.source();
        }
        Ok(())
    }
}

impl fmt::Debug for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ServiceError").field(&self.0).finish()
    }
}

impl Error for ServiceError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.0)
    }
}
