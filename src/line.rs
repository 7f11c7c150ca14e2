//! Strangers' text made fit to show: one line of bounded length, without
//! characters that steer a terminal or hide what stands there.

/// A line that is put together from strangers' text.
///
/// White space becomes single spaces. What cannot be seen (control characters,
/// and marks that turn the reading direction or have no width) becomes `\u{fffd}`.
#[derive(Clone, Debug)]
pub struct Line {
    text: String,
    /// Characters that still fit.
    room: usize,
    cut: bool,
    /// White space was met, and nothing since.
    gap: bool,
}

impl Line {
    /// An empty line that takes `max` characters.
    pub const fn new(max: usize) -> Self {
        Self {
            text: String::new(),
            room: max,
            cut: false,
            gap: false,
        }
    }

    /// Adds `text`; what does not fit is replaced by `…`.
    pub fn say(&mut self, text: &str) {
        for c in text.chars() {
            if self.cut {
                return;
            }
            if c.is_whitespace() {
                self.gap = true;
                continue;
            }
            if std::mem::take(&mut self.gap) && !self.text.is_empty() {
                self.push(' ');
            }
            self.push(if unseen(c) { '\u{fffd}' } else { c });
        }
    }

    fn push(&mut self, c: char) {
        match self.room.checked_sub(1) {
            Some(room) => {
                self.room = room;
                self.text.push(c);
            }
            None if self.cut => {}
            None => {
                self.text.push('…');
                self.cut = true;
            }
        }
    }

    /// Whether nothing more fits.
    pub const fn is_full(&self) -> bool {
        self.cut
    }

    /// Whether nothing was said.
    pub const fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// The line.
    pub fn into_text(self) -> String {
        self.text
    }
}

/// `text` as one line of at most `max` characters.
pub fn line(text: &str, max: usize) -> String {
    let mut line = Line::new(max);
    line.say(text);
    line.into_text()
}

/// Whether a character leaves no mark of its own, or changes how others read.
fn unseen(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_line_is_one_line_that_steers_nothing() {
        for (text, shown) in [
            ("connection refused", "connection refused"),
            (" two\r\n\tlines \n", "two lines"),
            ("\u{1b}[31mred\u{7}", "\u{fffd}[31mred\u{fffd}"),
            ("\u{202e}abc\u{200b}", "\u{fffd}abc\u{fffd}"),
            ("Überlast 🦀", "Überlast 🦀"),
            ("", ""),
            (" \n ", ""),
        ] {
            assert_eq!(line(text, 100), shown, "{text:?}");
        }
    }

    #[test]
    fn what_does_not_fit_is_cut_and_said_to_be() {
        assert_eq!(line("abcd", 4), "abcd");
        assert_eq!(line("abcd  ", 4), "abcd");
        assert_eq!(line("abcde", 4), "abcd…");
        assert_eq!(line("ab cde", 3), "ab …");
        let mut line = Line::new(3);
        line.say("ab");
        line.say(" c");
        assert!(line.is_full());
        line.say("d");
        assert_eq!(line.into_text(), "ab …");
    }

    proptest! {
        #[test]
        fn any_text_becomes_a_short_clean_line(text in "\\PC*|.*|[\\s\\x00-\\x1f\u{80}-\u{9f}\u{200b}-\u{206f}]*") {
            let line = line(&text, 20);
            prop_assert!(line.chars().count() <= 21);
            prop_assert!(!line.chars().any(|c| unseen(c) || c == '\n'));
            prop_assert_eq!(line.trim(), line.as_str());
        }
    }
}
