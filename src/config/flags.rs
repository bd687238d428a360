//! Command lines as Go's flag package reads them (spec api 5.1): one or two dashes, `-k v` or `-k=v`,
//! booleans without a value, and everything from the first positional argument on left alone.

use crate::base::go_duration;

/// What a flag takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// Nothing, or `=true`, `=false`.
    Bool,
    /// Any text.
    Text,
    /// A whole number of at least zero.
    Number,
    /// A whole number.
    Int,
    /// A span of time in Go's form, such as `2s`.
    Span,
    /// Any text; may be given many times.
    Texts,
    /// `key=value`; may be given many times.
    Pairs,
}

/// A flag of a command.
#[derive(Clone, Copy, Debug)]
pub struct Flag {
    /// Without dashes.
    pub name: &'static str,
    /// What it takes.
    pub takes: Takes,
    /// One line for the usage text.
    pub help: &'static str,
}

/// A command line taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parsed {
    given: Vec<(&'static str, String)>,
    /// The positional arguments.
    pub rest: Vec<String>,
}

/// Why a command line is refused, in Go's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FlagError {
    /// `-h`, `-help`.
    HelpRequested,
    /// Anything else.
    Bad(String),
}

impl Parsed {
    /// The last value given for a flag.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.given.iter().rev().find(|(given, _)| *given == name).map(|(_, value)| value.as_str())
    }

    /// All values given for a flag, in order.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.given.iter().filter(move |(given, _)| *given == name).map(|(_, v)| v.as_str())
    }

    /// All values given for these flags, with their names, in the order of the command line.
    pub fn all_of<'a>(
        &'a self,
        names: &'a [&'a str],
    ) -> impl Iterator<Item = (&'static str, &'a str)> {
        let given = self.given.iter().filter(move |(given, _)| names.contains(given));
        given.map(|(name, value)| (*name, value.as_str()))
    }

    /// A boolean flag's value, when given.
    #[must_use]
    pub fn switch(&self, name: &str) -> Option<bool> {
        self.text(name).and_then(parse_bool)
    }

    /// Whether a boolean flag was given and not switched off.
    #[must_use]
    pub fn is_on(&self, name: &str) -> bool {
        self.switch(name) == Some(true)
    }

    /// All pairs given for a flag, in order.
    pub fn pairs<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.all(name).filter_map(|pair| pair.split_once('='))
    }

    /// A number flag's value, when given.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<u64> {
        self.text(name).and_then(|text| text.parse().ok())
    }
}

/// Takes a command line apart.
///
/// # Errors
/// A flag that is not in `flags`, a missing or malformed value, a request for help.
pub fn parse(flags: &[Flag], args: &[String]) -> Result<Parsed, FlagError> {
    let mut parsed = Parsed::default();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let Some(name) = arg.strip_prefix('-').filter(|name| !name.is_empty()) else {
            parsed.rest.push(arg.clone());
            break;
        };
        let name = name.strip_prefix('-').unwrap_or(name);
        if name.is_empty() {
            break; // "--" ends the flags.
        }
        if name.starts_with(['-', '=']) {
            return Err(FlagError::Bad(format!("bad flag syntax: {arg}")));
        }
        let (name, inline) = match name.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (name, None),
        };
        let Some(flag) = flags.iter().find(|flag| flag.name == name) else {
            return Err(match name {
                "h" | "help" => FlagError::HelpRequested,
                _ => FlagError::Bad(format!("flag provided but not defined: -{name}")),
            });
        };
        let value = match (flag.takes, inline) {
            (_, Some(value)) => value,
            (Takes::Bool, None) => "true".to_owned(),
            (_, None) => args
                .next()
                .cloned()
                .ok_or_else(|| FlagError::Bad(format!("flag needs an argument: -{name}")))?,
        };
        check(flag, &value).map_err(FlagError::Bad)?;
        parsed.given.push((flag.name, value));
    }
    parsed.rest.extend(args.cloned());
    Ok(parsed)
}

fn check(flag: &Flag, value: &str) -> Result<(), String> {
    let name = flag.name;
    match flag.takes {
        Takes::Bool if parse_bool(value).is_none() => {
            Err(format!("invalid boolean value {value:?} for -{name}: parse error"))
        }
        Takes::Int if value.parse::<i64>().is_err() => {
            Err(format!("invalid value {value:?} for flag -{name}: parse error"))
        }
        Takes::Span if go_duration::parse(value).is_none() => {
            Err(format!("invalid value {value:?} for flag -{name}: parse error"))
        }
        Takes::Pairs if !value.contains('=') => {
            let why = format!("Missing \"=\" value in argument: {value}");
            Err(format!("invalid value {value:?} for flag -{name}: {why}"))
        }
        Takes::Number if value.is_empty() || !value.bytes().all(|b| b.is_ascii_digit()) => {
            Err(format!("invalid value {value:?} for flag -{name}: parse error"))
        }
        Takes::Number if value.parse::<u64>().is_err() => {
            Err(format!("invalid value {value:?} for flag -{name}: value out of range"))
        }
        _ => Ok(()),
    }
}

/// Go's `strconv.ParseBool`.
#[must_use]
pub fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

impl Flag {
    /// What stands for its value in a usage text: the help's word in backquotes, as in Go, or its kind.
    #[must_use]
    pub fn example(&self) -> Option<&'static str> {
        if let Some((_, rest)) = self.help.split_once('`')
            && let Some((word, _)) = rest.split_once('`')
        {
            return Some(word);
        }
        match self.takes {
            Takes::Bool => None,
            Takes::Text => Some("string"),
            Takes::Number => Some("uint"),
            Takes::Int => Some("int"),
            Takes::Span => Some("duration"),
            Takes::Texts | Takes::Pairs => Some("value"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLAGS: &[Flag] = &[
        Flag { name: "dev", takes: Takes::Bool, help: "" },
        Flag { name: "node", takes: Takes::Text, help: "" },
        Flag { name: "n", takes: Takes::Number, help: "" },
        Flag { name: "port", takes: Takes::Int, help: "" },
        Flag { name: "wait", takes: Takes::Span, help: "" },
        Flag { name: "meta", takes: Takes::Pairs, help: "Metadata as `key=value`." },
    ];

    fn run(line: &str) -> Result<Parsed, FlagError> {
        parse(FLAGS, &line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn reads_go_style() {
        let parsed = run("-dev --node n1 -n=3 --node=n2 put -dev x").expect("valid");
        assert_eq!(parsed.switch("dev"), Some(true));
        assert_eq!(parsed.text("node"), Some("n2"));
        assert_eq!(parsed.all("node").collect::<Vec<_>>(), ["n1", "n2"]);
        assert_eq!(parsed.number("n"), Some(3));
        assert_eq!(parsed.rest, ["put", "-dev", "x"]);
        assert_eq!(run("-dev=0").expect("valid").switch("dev"), Some(false));
        assert_eq!(run("-- -dev").expect("valid").rest, ["-dev"]);
        assert_eq!(run("-node -dev").expect("valid").text("node"), Some("-dev"));
        assert_eq!(run("- -dev").expect("valid").rest, ["-", "-dev"]);
        let parsed = run("-port=-1 -meta a=b -meta=c=d=e -wait 2s").expect("valid");
        assert_eq!(parsed.pairs("meta").collect::<Vec<_>>(), [("a", "b"), ("c", "d=e")]);
        assert_eq!(
            FLAGS.iter().map(Flag::example).collect::<Vec<_>>(),
            [None, Some("string"), Some("uint"), Some("int"), Some("duration"), Some("key=value"),]
        );
    }

    #[test]
    fn refuses_in_gos_words() {
        for (line, text) in [
            ("-nope", "flag provided but not defined: -nope"),
            ("-node", "flag needs an argument: -node"),
            ("-dev=maybe", "invalid boolean value \"maybe\" for -dev: parse error"),
            ("-n x", "invalid value \"x\" for flag -n: parse error"),
            (
                "-n 99999999999999999999",
                "invalid value \"99999999999999999999\" for flag -n: value out of range",
            ),
            ("-port x", "invalid value \"x\" for flag -port: parse error"),
            ("-wait soon", "invalid value \"soon\" for flag -wait: parse error"),
            ("-meta a", "invalid value \"a\" for flag -meta: Missing \"=\" value in argument: a"),
            ("---x", "bad flag syntax: ---x"),
            ("-=x", "bad flag syntax: -=x"),
        ] {
            assert_eq!(run(line), Err(FlagError::Bad(text.to_owned())));
        }
        assert_eq!(run("--help"), Err(FlagError::HelpRequested));
    }
}
