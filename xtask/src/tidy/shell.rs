//! The commands in a page's shell blocks.

use super::markdown;

/// A command as typed, in words, and where it stands.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Command {
    /// The line it begins on.
    pub(super) line: usize,
    /// Its words; settings in front (`A=b cargo ..`) are gone.
    pub(super) words: Vec<String>,
}

/// Every command in blocks marked `sh`, `bash`, `shell` or `console`; of the last, lines after `$ `.
pub(super) fn commands(page: &str) -> Vec<Command> {
    let mut commands = Vec::new();
    let mut begun: Option<(usize, String)> = None;
    for line in markdown::lines(page) {
        let Some(text) = line.code.and_then(|info| typed(info, line.text, begun.is_some())) else {
            continue;
        };
        let (number, mut whole) = begun.take().unwrap_or((line.number, String::new()));
        match text.trim_end().strip_suffix('\\') {
            Some(part) => begun = Some((number, whole + part + " ")),
            None => {
                whole.push_str(text);
                commands.extend(
                    split(&whole)
                        .into_iter()
                        .map(|words| Command { line: number, words }),
                );
            }
        }
    }
    commands
}

/// What is typed in a line of a block of this kind; `more` when it goes on from the line before.
fn typed<'a>(info: &str, text: &'a str, more: bool) -> Option<&'a str> {
    let text = text.trim();
    let prompt = text.strip_prefix("$ ");
    match info.split([',', ' ']).next() {
        Some("sh" | "bash" | "shell") => Some(prompt.unwrap_or(text)),
        Some("console") if more => Some(text),
        Some("console") => prompt,
        _ => None,
    }
}

/// A line as the shell would cut it: quotes kept together, comments dropped, one list per command.
fn split(line: &str) -> Vec<Vec<String>> {
    let mut commands = vec![Vec::new()];
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    for c in line.chars().chain([' ']) {
        match (c, quote) {
            (c, Some(sign)) if c == sign => quote = None,
            (c, Some(_)) => word.get_or_insert_default().push(c),
            ('\'' | '"', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            ('#', None) if word.is_none() => break,
            (c, None) if c.is_whitespace() || matches!(c, '&' | '|' | ';') => {
                if let (Some(word), Some(last)) = (word.take(), commands.last_mut()) {
                    last.push(word);
                }
                if !c.is_whitespace() {
                    commands.push(Vec::new());
                }
            }
            (c, None) => word.get_or_insert_default().push(c),
        }
    }
    let setting = |word: &String| {
        word.split_once('=')
            .is_some_and(|(name, _)| name.chars().all(|c| c.is_alphanumeric() || c == '_'))
    };
    let bare = commands
        .into_iter()
        .map(|words| words.into_iter().skip_while(setting).collect::<Vec<_>>());
    bare.filter(|words| !words.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(page: &str) -> Vec<String> {
        commands(page)
            .iter()
            .map(|command| format!("{}:{}", command.line, command.words.join("|")))
            .collect()
    }

    #[test]
    fn commands_are_cut_as_a_shell_would() {
        let page = "```sh\n# a comment\nA=1 B='x y' cargo test -p a   # why\ncd x && cargo run -- 'b c'; ls | cat\n```\n";
        assert_eq!(
            words(page),
            [
                "3:cargo|test|-p|a",
                "4:cd|x",
                "4:cargo|run|--|b c",
                "4:ls",
                "4:cat"
            ]
        );
    }

    #[test]
    fn a_line_that_goes_on_is_one_command() {
        assert_eq!(
            words("```bash\ncargo test \\\n  -p a\n```\n"),
            ["2:cargo|test|-p|a"]
        );
    }

    #[test]
    fn output_and_other_blocks_are_not_commands() {
        let page = "cargo a\n```\ncargo b\n```\n```rust\ncargo c\n```\n```console\n$ cargo d\ncargo e\n```\n";
        assert_eq!(words(page), ["9:cargo|d"]);
    }

    #[test]
    fn a_quote_that_is_never_closed_is_no_panic() {
        assert_eq!(words("```sh\necho 'a\n```\n"), ["2:echo"]);
    }
}
