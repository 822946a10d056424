//! What a layout means, whatever the desktop: the rules of [`Outputs::apply`](crate::Outputs::apply).

use crate::{Area, Error, Output, Placement};

/// How small and how large a desktop can be as a whole, in pixels.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) min: (u32, u32),
    pub(crate) max: (u32, u32),
}

/// A layout in which every output has its say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Resolved {
    /// All outputs, in the order of what is there now.
    pub(crate) outputs: Vec<Output>,
    /// The desktop's width: as far as the outputs reach, and no less than the desktop can be.
    pub(crate) width: u32,
    /// The desktop's height.
    pub(crate) height: u32,
}

/// Merges a layout into what is there, or says what is wrong with it.
pub(crate) fn resolve(now: &[Output], layout: &[Placement], limits: Limits) -> Result<Resolved, Error> {
    let mut outputs = now.to_vec();
    for (at, placement) in layout.iter().enumerate() {
        check(placement)?;
        if layout[..at].iter().any(|earlier| earlier.name == placement.name) {
            return Err(invalid(format!("The layout names output {} twice", placement.name)));
        }
        let Some(output) = outputs.iter_mut().find(|output| output.name == placement.name) else {
            return Err(unknown(&placement.name, now));
        };
        output.area = placement.area;
    }
    if outputs.iter().all(|output| output.area.is_none()) {
        return Err(invalid("The layout leaves no output on; one must stay".to_owned()));
    }
    elect_primary(&mut outputs, layout)?;
    shift(&mut outputs)?;
    let (width, height) = extent(&outputs);
    let (width, height) = (width.max(limits.min.0), height.max(limits.min.1));
    if width > limits.max.0 || height > limits.max.1 {
        return Err(Error::NotSupported(format!(
            "The layout needs a desktop of {width}x{height}; this one can be {}x{} at most",
            limits.max.0, limits.max.1
        )));
    }
    Ok(Resolved { outputs, width, height })
}

/// What can be told from one placement alone.
fn check(placement: &Placement) -> Result<(), Error> {
    let name = &placement.name;
    match placement.area {
        Some(Area { width, height, .. }) if width == 0 || height == 0 => {
            Err(invalid(format!("Output {name} cannot be {width}x{height}; both must be 1 or more")))
        }
        None if placement.primary => Err(invalid(format!("Output {name} cannot be off and the primary one"))),
        _ => Ok(()),
    }
}

/// Makes the one that the layout wants the primary output, or keeps the one that is.
fn elect_primary(outputs: &mut [Output], layout: &[Placement]) -> Result<(), Error> {
    let wanted: Vec<&str> =
        layout.iter().filter(|placement| placement.primary).map(|p| p.name.as_str()).collect();
    let heir = match wanted.as_slice() {
        [] => {
            let switched_off =
                |output: &Output| layout.iter().any(|p| p.area.is_none() && p.name == output.name);
            if !outputs.iter().any(|output| output.primary && switched_off(output)) {
                return Ok(());
            }
            outputs.iter().position(|output| output.area.is_some())
        }
        [name] => outputs.iter().position(|output| output.name == *name),
        several => {
            let names = several.join(", ");
            return Err(invalid(format!("Only one output can be primary; the layout names {names}")));
        }
    };
    for (at, output) in outputs.iter_mut().enumerate() {
        output.primary = Some(at) == heir;
    }
    Ok(())
}

/// Moves everything right and down until no edge is left of or above the desktop's.
fn shift(outputs: &mut [Output]) -> Result<(), Error> {
    let areas = || outputs.iter().filter_map(|output| output.area);
    let left = areas().map(|area| area.x).min().unwrap_or(0).min(0);
    let top = areas().map(|area| area.y).min().unwrap_or(0).min(0);
    for output in outputs {
        if let Some(area) = &mut output.area {
            let moved = area.x.checked_sub(left).zip(area.y.checked_sub(top));
            let Some((x, y)) = moved else {
                return Err(invalid(format!("Output {} is too far from the others", output.name)));
            };
            (area.x, area.y) = (x, y);
        }
    }
    Ok(())
}

/// How far the outputs reach, from 0,0. Saturates: whatever saturates is beyond any desktop.
fn extent(outputs: &[Output]) -> (u32, u32) {
    let end = |from: i32, length: u32| u32::try_from(from).unwrap_or(0).saturating_add(length);
    let areas = outputs.iter().filter_map(|output| output.area);
    areas.fold((0, 0), |(width, height), area| {
        (width.max(end(area.x, area.width)), height.max(end(area.y, area.height)))
    })
}

fn unknown(name: &str, now: &[Output]) -> Error {
    const SHOWN: usize = 4;
    let mut known: Vec<&str> = now.iter().take(SHOWN).map(|output| output.name.as_str()).collect();
    if now.len() > SHOWN {
        known.push("…");
    }
    invalid(format!("No output is called '{name}'; there are: {}", known.join(", ")))
}

fn invalid(text: String) -> Error {
    Error::Invalid(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { min: (64, 64), max: (32767, 32767) };

    fn area(x: i32, y: i32, width: u32, height: u32) -> Area {
        Area { x, y, width, height }
    }

    /// A is on and primary, B is on beside it, C is off.
    fn now() -> Vec<Output> {
        let output = |name: &str, area, primary| Output { name: name.into(), area, primary };
        vec![
            output("A", Some(area(0, 0, 800, 600)), true),
            output("B", Some(area(800, 0, 640, 480)), false),
            output("C", None, false),
        ]
    }

    fn place(name: &str, area: Option<Area>, primary: bool) -> Placement {
        Placement { name: name.into(), area, primary }
    }

    #[test]
    fn what_is_wrong_is_refused_and_named() {
        let good = Some(area(0, 0, 800, 600));
        let cases: [(&[Placement], &str); 8] = [
            (&[place("Z", good, false)], "'Z'; there are: A, B, C"),
            (&[place("A", good, false), place("A", None, false)], "twice"),
            (&[place("A", Some(area(0, 0, 0, 600)), false)], "0x600"),
            (&[place("A", None, true)], "off and the primary"),
            (&[place("A", good, true), place("B", good, true)], "A, B"),
            (&[place("A", None, false), place("B", None, false)], "one must stay"),
            (
                &[
                    place("A", Some(area(i32::MIN, 0, 8, 8)), false),
                    place("B", Some(area(i32::MAX, 0, 8, 8)), false),
                ],
                "too far",
            ),
            (&[place("A", Some(area(0, 0, u32::MAX, 600)), false)], "32767x32767 at most"),
        ];
        for (layout, told) in cases {
            let error = resolve(&now(), layout, LIMITS).expect_err(told);
            assert!(error.to_string().contains(told), "{error}");
        }
    }

    #[test]
    fn who_is_not_named_stays() {
        let resolved = resolve(&now(), &[], LIMITS).expect("valid");

        assert_eq!(resolved.outputs, now());
        assert_eq!((resolved.width, resolved.height), (1440, 600));
    }

    #[test]
    fn an_edge_beyond_the_upper_left_moves_everything() {
        let layout = [place("B", Some(area(-640, -10, 640, 480)), false)];

        let resolved = resolve(&now(), &layout, LIMITS).expect("valid");

        assert_eq!(resolved.outputs[0].area, Some(area(640, 10, 800, 600)));
        assert_eq!(resolved.outputs[1].area, Some(area(0, 0, 640, 480)));
        assert_eq!((resolved.width, resolved.height), (1440, 610));
    }

    #[test]
    fn a_primary_output_that_is_switched_off_has_an_heir() {
        let resolved = resolve(&now(), &[place("A", None, false)], LIMITS).expect("valid");

        let primary: Vec<bool> = resolved.outputs.iter().map(|output| output.primary).collect();
        assert_eq!(primary, [false, true, false]);
    }

    #[test]
    fn a_desktop_is_no_smaller_than_it_can_be() {
        let layout = [place("A", Some(area(0, 0, 10, 10)), false), place("B", None, false)];

        let resolved = resolve(&now(), &layout, LIMITS).expect("valid");

        assert_eq!((resolved.width, resolved.height), (64, 64));
    }
}
