//! What a server says is wrong.

use std::fmt;

/// An error of the server, `ErrorResponse`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerError {
    /// `ERROR`, `FATAL`, `PANIC`
    pub severity: String,
    /// SQLSTATE, five characters.
    pub code: String,
    /// The primary message.
    pub message: String,
    /// Empty if there is none.
    pub detail: String,
    /// Empty if there is none.
    pub hint: String,
}

impl ServerError {
    /// Of the body of an `ErrorResponse` or `NoticeResponse`.
    pub(crate) fn parse(body: &[u8]) -> Self {
        let mut error = ServerError::default();
        let mut rest = body;
        while let [code, tail @ ..] = rest {
            let Some(len) = tail.iter().position(|&byte| byte == 0) else { break };
            let text = String::from_utf8_lossy(&tail[..len]).into_owned();
            match code {
                b'V' => error.severity = text,
                b'C' => error.code = text,
                b'M' => error.message = text,
                b'D' => error.detail = text,
                b'H' => error.hint = text,
                _ => (),
            }
            rest = &tail[len + 1..];
        }
        error
    }

    /// Logs a notice.
    pub(crate) fn say(&self) {
        let some = |text: &'_ str| (!text.is_empty()).then(|| text.to_owned());
        let (severity, notice, sqlstate) = (&*self.severity, &*self.message, &*self.code);
        let (detail, hint) = (some(&self.detail), some(&self.hint));
        match severity {
            "WARNING" => {
                tracing::warn!(severity, notice, sqlstate, detail, hint, "the server says");
            }
            _ => tracing::info!(severity, notice, sqlstate, detail, hint, "the server says"),
        }
    }

    /// Whether trying again cannot help: authentication, syntax and names,
    /// data, the server's limits and files, a slot that was invalidated.
    pub fn is_permanent(&self) -> bool {
        const CLASSES: [&str; 7] = ["0A", "22", "28", "3D", "42", "54", "58"];
        let class = self.code.get(..2).unwrap_or("");
        CLASSES.contains(&class) || self.code == "55000"
    }
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.severity, self.message, self.code)?;
        for (what, text) in [("detail", &self.detail), ("hint", &self.hint)] {
            if !text.is_empty() {
                write!(f, "; {what}: {text}")?;
            }
        }
        Ok(())
    }
}
