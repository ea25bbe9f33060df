//! Bytes of a text to lines and columns, both from 1, a column counted in code points.

/// Where the lines of a text begin, and how many code points stand before each block of it.
#[derive(Debug)]
pub struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
    /// The code points before each block of [`BLOCK`] bytes, so that no column costs more than a block.
    before: Vec<usize>,
}

const BLOCK: usize = 4096;

impl<'a> Lines<'a> {
    /// Finds the lines of a text.
    #[must_use]
    pub fn new(text: &'a str) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let starts = std::iter::once(0)
            .chain(ends.map(|(at, _)| at.saturating_add(1)))
            .collect();
        let mut sum = 0_usize;
        let before = text
            .as_bytes()
            .chunks(BLOCK)
            .map(|block| {
                let here = sum;
                sum = sum.saturating_add(characters(block));
                here
            })
            .collect();
        Self {
            text,
            starts,
            before,
        }
    }

    /// The line and the column of a byte.
    #[must_use]
    pub fn position(&self, at: usize) -> (usize, usize) {
        let at = at.min(self.text.len());
        let line = self.starts.partition_point(|start| *start <= at);
        let start = self.line_start(line);
        let column = self.count(at).saturating_sub(self.count(start));
        (line, column.saturating_add(1))
    }

    /// The text of a line, without its end, and the byte at which it begins.
    #[must_use]
    pub fn line(&self, line: usize) -> (&'a str, usize) {
        let start = self.line_start(line);
        let end = self
            .starts
            .get(line)
            .map_or(self.text.len(), |next| next.saturating_sub(1));
        (self.text.get(start..end).unwrap_or_default(), start)
    }

    fn line_start(&self, line: usize) -> usize {
        let place = line.saturating_sub(1);
        self.starts.get(place).copied().unwrap_or_default()
    }

    /// The code points before a byte.
    fn count(&self, at: usize) -> usize {
        let block = at.div_euclid(BLOCK);
        let before = match self.before.get(block) {
            Some(before) => *before,
            None => return self.text.chars().count(),
        };
        let rest = self.text.as_bytes().get(block.saturating_mul(BLOCK)..at);
        before.saturating_add(characters(rest.unwrap_or_default()))
    }
}

/// The code points that begin in these bytes.
fn characters(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| (**byte & 0xC0) != 0x80).count()
}

#[cfg(test)]
mod tests {
    use super::Lines;

    #[test]
    fn a_position_is_a_line_and_a_column_in_code_points() {
        let text = format!("{{\n  \"é\": \u{1F600}x\n{}y", "ü".repeat(5_000));
        let lines = Lines::new(&text);
        let place = |what: &str| lines.position(text.find(what).unwrap_or_default());
        assert_eq!(lines.position(0), (1, 1));
        assert_eq!(place("\"é"), (2, 3));
        assert_eq!(place("x"), (2, 9));
        assert_eq!(place("y"), (3, 5_001));
        assert_eq!(lines.line(2), ("  \"é\": \u{1F600}x", 2));
        assert_eq!(lines.line(1), ("{", 0));
        assert_eq!(lines.position(usize::MAX), (3, 5_002));
    }
}
