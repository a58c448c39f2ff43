use std::fmt::{self, Display, Write};

/// An HTML document in the making. Markup is literal; whatever is not known at compile time goes through [`Html::text`] and is escaped.
#[derive(Default)]
pub(crate) struct Html(String);

impl Html {
    /// Appends markup.
    pub(crate) fn raw(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// Appends a value so that it is text, in an element or in a quoted attribute.
    pub(crate) fn text(&mut self, value: impl Display) -> &mut Self {
        write!(Escape(&mut self.0), "{value}").expect("writing to a String does not fail");
        self
    }

    pub(crate) fn finish(self) -> String {
        self.0
    }
}

struct Escape<'a>(&'a mut String);

impl Write for Escape<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                c if c.is_control() => self.0.push('\u{FFFD}'),
                c => self.0.push(c),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_cannot_become_markup() {
        let mut html = Html::default();
        html.raw("<td title=\"").text("\" onload='x' <b>&\0").raw("\">");
        assert_eq!(html.finish(), "<td title=\"&quot; onload=&#39;x&#39; &lt;b&gt;&amp;\u{FFFD}\">");
    }
}
