//! `-o custom-columns=`: headings with the path of each, as `kubectl` takes them. Refuses to know what stands behind a
//! path.

use serde_json::Value;

use crate::jsonpath::JsonPath;
use crate::table::Table;

/// What stands where an object has nothing.
const NOTHING: &str = "<none>";

/// Columns that were asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomColumns(Vec<(String, JsonPath)>);

impl CustomColumns {
    /// Reads `HEADING:PATH,HEADING:PATH`.
    ///
    /// # Errors
    /// The column that is not understood.
    pub fn parse(text: &str) -> Result<Self, String> {
        let columns = text.split(',').map(|column| match column.split_once(':') {
            Some((heading, path)) if !heading.is_empty() && !path.is_empty() => {
                Ok((heading.to_owned(), JsonPath::parse(path)?))
            }
            Some(_) | None => Err(format!("`{column}`: expected `HEADING:.path.of.field`")),
        });
        columns.collect::<Result<_, _>>().map(Self)
    }

    /// One row for each object.
    #[must_use]
    pub fn table(&self, objects: &[Value]) -> Table {
        let mut table = Table::with_headings(self.0.iter().map(|(heading, _)| heading.clone()).collect());
        for object in objects {
            let cells = self.0.iter().map(|(_, path)| match path.render(object) {
                empty if empty.is_empty() => NOTHING.to_owned(),
                text => text,
            });
            table.push(cells.collect());
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn columns_as_kubectl_takes_them() {
        let columns =
            CustomColumns::parse("NAME:.metadata.name,STATE:{.status.lifecycleState}").expect("understood");
        let objects = [
            json!({"metadata": {"name": "a"}, "status": {"lifecycleState": "STABLE"}}),
            json!({"metadata": {"name": "longer"}}),
        ];
        assert_eq!(columns.table(&objects).lines(), ["NAME     STATE", "a        STABLE", "longer   <none>"]);
    }

    #[test]
    fn a_column_without_path_is_named() {
        for text in ["", "NAME", "NAME:", ":.a", "A:.a,B"] {
            assert!(CustomColumns::parse(text).expect_err(text).contains("HEADING:"), "{text}");
        }
        assert!(CustomColumns::parse("A:{.a").is_err());
    }
}
