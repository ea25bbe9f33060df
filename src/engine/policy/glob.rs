//! Globs on targets: which are refused, and the regular expression that a glob stands for (policy.md section 2).

use globset::GlobBuilder;

/// The characters that begin what is not literal.
const META: [char; 4] = ['*', '?', '[', '{'];

/// Says why a glob is refused; nothing where it is sound.
pub(super) fn glob_fault(glob: &str) -> Option<&'static str> {
    if glob.is_empty() {
        Some("is empty")
    } else if glob.chars().any(char::is_control) {
        Some("holds a control character")
    } else if glob.contains('\\') {
        Some("holds a backslash: a glob has no escapes")
    } else if glob
        .split(['/', '{', '}', ','])
        .any(|part| part.replace(['[', ']'], "") == "..")
    {
        Some("holds a segment `..`, which no path that is allowed has")
    } else if has_broken_double_star(glob) {
        Some("holds `**` that does not stand alone between two `/`")
    } else {
        None
    }
}

/// `**` may only be a whole segment; between braces it would be a part of one.
fn has_broken_double_star(glob: &str) -> bool {
    glob.split('/')
        .any(|segment| segment.contains("**") && segment != "**")
}

/// The bytes before the first character that is not literal.
pub(super) fn literal_prefix(glob: &str) -> &str {
    glob.split(META).next().unwrap_or_default()
}

/// The regular expression, anchored, that a glob stands for.
///
/// # Errors
/// What is wrong with the glob.
pub(super) fn regex_of(glob: &str) -> Result<String, String> {
    let classes = without_separators(glob)?;
    let built = GlobBuilder::new(&classes)
        .literal_separator(true)
        .backslash_escape(false)
        .empty_alternates(true)
        .build()
        .map_err(|error| error.kind().to_string())?;
    Ok(whole_characters(built.regex()))
}

/// Takes `/` out of what the classes of a glob match.
fn without_separators(glob: &str) -> Result<String, String> {
    let mut out = String::with_capacity(glob.len());
    let mut rest = glob;
    while let Some((before, class)) = rest.split_once('[') {
        out.push_str(before);
        // A `]` that comes first is a member of the class.
        let negated = class.starts_with(['!', '^']);
        let body = class.strip_prefix(['!', '^']).unwrap_or(class);
        let skipped = usize::from(body.starts_with(']'));
        let end = body
            .get(skipped..)
            .and_then(|rest| rest.find(']'))
            .map(|end| end.saturating_add(skipped))
            .ok_or("holds a `[` without its `]`")?;
        let members = body.get(..end).unwrap_or_default();
        rest = body.get(end.saturating_add(1)..).unwrap_or_default();
        if !members.is_ascii() {
            return Err("holds a class of characters that are not ASCII".to_owned());
        }
        let ranges = ranges(members)?;
        if ranges.is_empty() && !negated {
            return Err("holds a class that matches nothing: a class never matches `/`".to_owned());
        }
        out.push('[');
        if negated {
            out.push_str("!/");
        }
        write_ranges(&mut out, &ranges);
        out.push(']');
    }
    out.push_str(rest);
    Ok(out)
}

/// The ranges of a class, without `/`.
fn ranges(members: &str) -> Result<Vec<(u8, u8)>, String> {
    let mut found = Vec::new();
    let mut rest = members.as_bytes();
    while let [first, after @ ..] = rest {
        let (last, next) = match after {
            [b'-', last, next @ ..] => (*last, next),
            _ => (*first, after),
        };
        if last < *first {
            return Err("holds a class whose range ends before it begins".to_owned());
        }
        let separator = b'/';
        for (from, to) in [
            (*first, last.min(separator.saturating_sub(1))),
            ((*first).max(separator.saturating_add(1)), last),
        ] {
            if from <= to && !(from..=to).contains(&separator) {
                found.push((from, to));
            }
        }
        rest = next;
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// Writes the ranges of a class so that no member is read as syntax: `]` first, `!`, `^` and `-` last.
fn write_ranges(out: &mut String, ranges: &[(u8, u8)]) {
    // Split at the four that need a place of their own.
    let special = [b'!', b'-', b']', b'^'];
    let mut plain = Vec::new();
    let mut apart = [false; 4];
    for (from, to) in ranges {
        let mut start = *from;
        for (mark, byte) in apart.iter_mut().zip(special) {
            if (*from..=*to).contains(&byte) {
                *mark = true;
                if start < byte {
                    plain.push((start, byte.saturating_sub(1)));
                }
                start = byte.saturating_add(1);
            }
        }
        if start <= *to {
            plain.push((start, *to));
        }
    }
    let [exclamation, dash, bracket, caret] = apart;
    if bracket {
        out.push(']');
    }
    for (from, to) in plain {
        out.push(char::from(from));
        if to > from {
            out.push('-');
            out.push(char::from(to));
        }
    }
    for (is_there, character) in [(exclamation, '!'), (caret, '^'), (dash, '-')] {
        if is_there {
            out.push(character);
        }
    }
}

/// `globset` writes expressions over bytes; what it says of one character is said of a whole one.
fn whole_characters(regex: &str) -> String {
    let mut out = String::with_capacity(regex.len());
    let mut inside = false;
    let mut characters = regex.chars().peekable();
    while let Some(character) = characters.next() {
        if character == '\\' {
            out.push(character);
            out.extend(characters.next());
        } else if character == '[' && !inside && characters.peek() == Some(&'^') {
            inside = true;
            out.push_str("(?u:[");
        } else if character == ']' && inside {
            inside = false;
            out.push_str("])");
        } else {
            out.push(character);
        }
    }
    out
}
