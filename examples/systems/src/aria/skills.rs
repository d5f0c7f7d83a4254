//! [`Skills`]: functions of the engine that need no model.

use std::fmt;
use std::num::ParseIntError;
use std::sync::Arc;
use std::time::Duration;

use super::database::{Database, PoolTimeout};
use super::metrics::{Aria, ErrorType};

#[derive(Debug)]
pub enum SkillError {
    Number(ParseIntError),
    Database(PoolTimeout),
}

impl ErrorType for SkillError {
    fn error_type(&self) -> &'static str {
        match self {
            Self::Number(_) => "ParseIntError",
            Self::Database(error) => error.error_type(),
        }
    }
}

impl fmt::Display for SkillError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(error) => error.fmt(f),
            Self::Database(error) => error.fmt(f),
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub enum Skill {
    /// Counts the words of the input.
    CountWords,
    /// Divides the first number by the second. Panics if the second is 0: a deliberate bug.
    Divide,
    /// Counts all messages. The input is the duration of the query in milliseconds.
    Scan,
}

impl Skill {
    const ALL: [Self; 3] = [Self::CountWords, Self::Divide, Self::Scan];

    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|skill| skill.name() == name)
    }

    fn name(self) -> &'static str {
        match self {
            Self::CountWords => "count_words",
            Self::Divide => "divide",
            Self::Scan => "scan",
        }
    }
}

#[derive(Debug)]
pub struct Skills {
    database: Arc<Database>,
    aria: Aria,
}

impl Skills {
    pub fn new(database: Arc<Database>, aria: Aria) -> Self {
        for skill in Skill::ALL {
            aria.preregister_skill(skill.name());
        }
        Self { database, aria }
    }

    pub async fn execute(&self, skill: Skill, input: &str) -> Result<String, SkillError> {
        let work = async {
            match skill {
                Skill::CountWords => Ok(input.split_whitespace().count().to_string()),
                Skill::Divide => divide(input),
                Skill::Scan => self.scan(input).await,
            }
        };
        self.aria.skill(skill.name(), work).await
    }

    async fn scan(&self, input: &str) -> Result<String, SkillError> {
        let duration = Duration::from_millis(input.trim().parse().map_err(SkillError::Number)?);
        let count = self.database.scan(duration).await;
        count.map(|n| n.to_string()).map_err(SkillError::Database)
    }
}

fn divide(input: &str) -> Result<String, SkillError> {
    let (a, b) = input.trim().split_once(' ').unwrap_or((input, ""));
    let number = |text: &str| text.parse::<i64>().map_err(SkillError::Number);
    Ok((number(a)? / number(b)?).to_string())
}
