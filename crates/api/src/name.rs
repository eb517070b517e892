//! Resource names: `customers/{customer}/relationships/{relationship}`.

/// The ids in a resource name, when it follows the pattern of these collections and no id is empty.
///
/// ```text
/// ids("customers/c/relationships/r", ["customers", "relationships"]) == Some(["c", "r"])
/// ```
#[must_use]
pub fn ids<'a, const N: usize>(name: &'a str, collections: [&str; N]) -> Option<[&'a str; N]> {
    let mut segments = name.split('/');
    let mut ids = [""; N];
    for (id, collection) in ids.iter_mut().zip(collections) {
        if segments.next()? != collection {
            return None;
        }
        *id = segments.next().filter(|id| !id.is_empty())?;
    }
    segments.next().is_none().then_some(ids)
}

#[cfg(test)]
mod tests {
    use super::ids;

    #[test]
    fn a_name_gives_its_ids() {
        assert_eq!(ids("customers/c", ["customers"]), Some(["c"]));
        assert_eq!(ids("customers/c/relationships/r", ["customers", "relationships"]), Some(["c", "r"]));
    }

    #[test]
    fn a_name_of_another_shape_gives_none() {
        for name in
            ["", "customers", "customers/", "partners/c", "customers/c/", "customers/c/relationships/r", "/customers/c"]
        {
            assert_eq!(ids(name, ["customers"]), None, "{name}");
        }
    }
}
