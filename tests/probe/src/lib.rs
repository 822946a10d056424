//! A plugin for tests: at its start it does what its configuration tells it to, one step after the other,
//! and says in the log what came of each, and what it is called for later.

#![deny(missing_docs)]

use std::time::Duration;

use bellhop_plugin::hgcm::{self, Client, Completion, Parameter, Value};
use bellhop_plugin::properties::{self, Change, Property};
use bellhop_plugin::{
    Buffer, Capabilities, Error, Events, HandOver, HgcmCompletions, Plugin, PropertyEvents, Subscription,
    TimerEvents, Token, info, plugin, timers,
};
use serde::Deserialize;

/// What to do.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    #[serde(default)]
    steps: Vec<Step>,
    /// What it knows of itself, and hands over; nothing until it was handed something.
    knows: Option<String>,
    /// How many bytes it hands over, in the place of that.
    hands_over: Option<usize>,
    /// It refuses to be handed anything.
    #[serde(default)]
    refuses: bool,
}

/// One thing to do.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
enum Step {
    Get(String),
    Set([String; 3]),
    Delete(String),
    Enumerate(String),
    Watch(String),
    Unwatch,
    Connect(String),
    /// Gets a property by a call of its own: the function, the name, the room, and a time-out in
    /// milliseconds, of which 0 is none.
    Call(u32, String, u32, u64),
    /// The same into a buffer.
    CallInto(u32, String, u32),
    Cancel,
    Disconnect,
    Timer(u64),
    CancelTimer,
    Buffer(u64, u32),
}

/// The plugin, and what it began last.
#[derive(Debug, Default)]
pub struct Probe {
    client: Option<Client>,
    call: Token,
    watch: Token,
    timer: Token,
    buffer: Option<Buffer>,
    knows: Option<String>,
    hands_over: Option<usize>,
    refuses: bool,
}

plugin!(Probe: HgcmCompletions, TimerEvents, PropertyEvents, HandOver);

impl Plugin for Probe {
    type Config = Config;

    fn start(config: Config) -> Result<(Self, Subscription), String> {
        let Config { knows, hands_over, refuses, .. } = &config;
        let mut probe =
            Self { knows: knows.clone(), hands_over: *hands_over, refuses: *refuses, ..Self::default() };
        for step in config.steps {
            let said = format!("{step:?}");
            match probe.take(step) {
                Ok(outcome) => info!("{said}: {outcome}"),
                Err(error) => info!("{said}: failed: {error}"),
            }
        }
        Ok((probe, Subscription { events: Events::empty(), capabilities: Capabilities::empty() }))
    }
}

impl HandOver for Probe {
    fn save(&mut self, largest: u64) -> Result<Vec<u8>, String> {
        info!("hands over at most {largest} bytes");
        Ok(match self.hands_over {
            Some(bytes) => vec![b'x'; bytes],
            None => self.knows.clone().unwrap_or_default().into_bytes(),
        })
    }

    fn restore(&mut self, state: Vec<u8>) -> Result<(), String> {
        if self.refuses {
            return Err("it wants to know nothing".to_owned());
        }
        let knows = String::from_utf8(state).map_err(|error| error.to_string())?;
        info!("was handed {knows:?}");
        self.knows = Some(knows);
        Ok(())
    }
}

impl HgcmCompletions for Probe {
    fn on_completion(&mut self, call: Token, outcome: Result<Completion, Error>) -> Result<(), String> {
        let last = if call == self.call { "the last call" } else { "an earlier call" };
        let Completion { status, values } = match outcome {
            Ok(completion) => completion,
            Err(error) => {
                info!("{last} failed: {error}");
                return Ok(());
            }
        };
        let told = |value: &Value| match value {
            Value::Bytes((bytes, needed)) => format!("{:?} of {needed}", String::from_utf8_lossy(bytes)),
            Value::Buffer(needed) => format!("buffer of {needed}"),
            Value::Value32(value) => value.to_string(),
            Value::Value64(value) => if *value == 0 { "0" } else { "some time" }.to_owned(),
            Value::Sent => "sent".to_owned(),
        };
        let values: Vec<_> = values.iter().map(told).collect();
        info!("{last} ended with {status}: {}", values.join(", "));
        if let Some(buffer) = &self.buffer {
            info!("the buffer has {:?}", String::from_utf8_lossy(&buffer.read_at(0, 100)?));
        }
        Ok(())
    }
}

impl TimerEvents for Probe {
    fn on_timer(&mut self, timer: Token) -> Result<(), String> {
        info!("{} timer", if timer == self.timer { "the last" } else { "an earlier" });
        Ok(())
    }
}

impl PropertyEvents for Probe {
    fn on_property_changed(&mut self, _: Token, change: Change, missed: bool) -> Result<(), String> {
        info!("{} is {:?} now, missed {missed}", change.name, change.value);
        Ok(())
    }
}

impl Probe {
    fn take(&mut self, step: Step) -> Result<String, Error> {
        let told = |Property { name, value, flags, .. }: Property| format!("{name}={value} [{flags}]");
        match step {
            Step::Get(name) => Ok(properties::get(&name)?.map_or("none".to_owned(), told)),
            Step::Set([name, value, flags]) => properties::set(&name, &value, &flags).map(done),
            Step::Delete(name) => properties::delete(&name).map(done),
            Step::Enumerate(pattern) => {
                let all: Vec<_> = properties::enumerate(&pattern)?.into_iter().map(told).collect();
                Ok(all.join(" "))
            }
            Step::Watch(pattern) => {
                self.watch = properties::watch(&pattern)?;
                Ok(done(()))
            }
            Step::Unwatch => {
                properties::unwatch(self.watch);
                Ok(done(()))
            }
            Step::Connect(service) => {
                self.client = Some(hgcm::connect(&service)?);
                Ok(done(()))
            }
            Step::Call(function, name, room, timeout) => {
                let timeout = (timeout > 0).then(|| Duration::from_millis(timeout));
                self.call(function, &name, Parameter::Room(room), timeout)
            }
            Step::CallInto(function, name, room) => {
                let buffer = Buffer::new()?;
                let outcome = self.call(function, &name, Parameter::IntoBuffer(&buffer, room), None);
                self.buffer = Some(buffer);
                outcome
            }
            Step::Cancel => {
                hgcm::cancel(self.call);
                Ok(done(()))
            }
            Step::Disconnect => {
                self.client = None;
                Ok(done(()))
            }
            Step::Timer(millis) => {
                self.timer = timers::set(Duration::from_millis(millis))?;
                Ok(done(()))
            }
            Step::CancelTimer => {
                timers::cancel(self.timer);
                Ok(done(()))
            }
            Step::Buffer(offset, length) => {
                let buffer = Buffer::new()?;
                buffer.write_at(offset, &vec![7; length as usize])?;
                let read = buffer.read_at(offset.saturating_sub(1), length.saturating_add(2))?;
                Ok(format!(
                    "{} bytes, of which {} were read from {:?}",
                    buffer.size()?,
                    read.len(),
                    read.first()
                ))
            }
        }
    }

    /// Calls a function of the guest property service that gives data of one name or pattern.
    fn call(
        &mut self,
        function: u32,
        name: &str,
        room: Parameter<'_>,
        timeout: Option<Duration>,
    ) -> Result<String, Error> {
        let client = self.client.as_ref().ok_or_else(|| Error::Other("not connected".to_owned()))?;
        let name = [name.as_bytes(), &[0]].concat();
        let (name, time, size) = (Parameter::Bytes(&name), Parameter::Value64(0), Parameter::Value32(0));
        // A notification has its time before its data.
        let parameters = if function == 6 { [name, time, room, size] } else { [name, room, time, size] };
        self.call = client.submit(function, &parameters, timeout)?;
        Ok(done(()))
    }
}

fn done(_: ()) -> String {
    "done".to_owned()
}
