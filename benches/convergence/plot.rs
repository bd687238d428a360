//! Curves as one SVG file that needs nothing else.

use std::fmt::Write as _;

/// Share (0 to 1) against time (seconds, one point a step).
pub struct Curve {
    pub label: String,
    pub colour: &'static str,
    /// Drawn in dashes: computed, not measured.
    pub model: bool,
    pub step_s: f64,
    pub shares: Vec<f64>,
}

/// Curves on axes of their own.
pub struct Panel {
    pub title: String,
    pub seconds: f64,
    pub curves: Vec<Curve>,
}

const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 340.0;
const LEFT: f64 = 60.0;
const TOP: f64 = 40.0;
const RIGHT: f64 = 150.0;
const BOTTOM: f64 = 50.0;

/// All panels, one below the other.
pub fn svg(panels: &[Panel]) -> String {
    let height = HEIGHT * panels.len() as f64;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" \
         fill=\"white\"/>\n"
    );
    for (place, panel) in panels.iter().enumerate() {
        let _ = writeln!(out, "<g transform=\"translate(0 {})\">", HEIGHT * place as f64);
        draw(panel, &mut out);
        out.push_str("</g>\n");
    }
    out.push_str("</svg>\n");
    out
}

fn draw(panel: &Panel, out: &mut String) {
    let (width, height) = (WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM);
    let x = |seconds: f64| LEFT + width * seconds / panel.seconds;
    let y = |share: f64| TOP + height * (1.0 - share);
    let _ = writeln!(out, "<text x=\"{LEFT}\" y=\"24\" font-size=\"15\">{}</text>", panel.title);
    for tick in 0..=4 {
        let (share, seconds) = (f64::from(tick) / 4.0, panel.seconds * f64::from(tick) / 4.0);
        let (left, right, at) = (LEFT, LEFT + width, y(share));
        let _ = writeln!(
            out,
            "<path d=\"M{left} {at:.1}H{right}\" stroke=\"#ddd\"/><text x=\"{:.1}\" y=\"{:.1}\" \
             text-anchor=\"end\">{:.0} %</text><text x=\"{:.1}\" y=\"{:.1}\" \
             text-anchor=\"middle\">{seconds:.1} s</text>",
            left - 6.0,
            at + 4.0,
            share * 100.0,
            x(seconds),
            TOP + height + 20.0
        );
    }
    for (place, curve) in panel.curves.iter().enumerate() {
        let points = curve.shares.iter().enumerate().map(|(step, share)| {
            let seconds = step as f64 * curve.step_s;
            (seconds, *share)
        });
        let shown = points.take_while(|(seconds, _)| *seconds <= panel.seconds);
        let points: Vec<String> =
            shown.map(|(seconds, share)| format!("{:.1},{:.1}", x(seconds), y(share))).collect();
        let dashes = if curve.model { " stroke-dasharray=\"5 4\"" } else { "" };
        let (colour, legend) = (curve.colour, TOP + 16.0 * place as f64 + 8.0);
        let _ = writeln!(
            out,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" \
             stroke-width=\"1.6\"{dashes}/><path d=\"M{} {:.1}h24\" stroke=\"{colour}\" \
             stroke-width=\"1.6\"{dashes}/><text x=\"{}\" y=\"{:.1}\">{}</text>",
            points.join(" "),
            LEFT + width + 10.0,
            legend - 4.0,
            LEFT + width + 40.0,
            legend,
            curve.label
        );
    }
}
