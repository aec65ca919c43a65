//! Access control lists: the two canned ones that are honoured, as headers and as documents.

use fdfs_objects::access::CannedAcl;

use crate::context::Context;
use crate::error::{ErrorCode, S3Error};
use crate::request::Request;
use crate::unsupported::OTHER_ACLS;
use crate::xml::{Element, XmlWriter};

/// The ACL that a request to set one asks for: by name in a header, or by its grants in a document.
pub(crate) async fn asked_for(request: Request) -> Result<CannedAcl, S3Error> {
    if let Some(name) = request.header("x-amz-acl")? {
        return named(name);
    }
    let body = request.payload.read_all(MAX_BODY).await?;
    parse(&body)
}

/// The ACL of this name.
pub(crate) fn named(name: &str) -> Result<CannedAcl, S3Error> {
    CannedAcl::parse(name).ok_or_else(|| {
        let code =
            if OTHER_ACLS.contains(&name) { ErrorCode::NotImplemented } else { ErrorCode::InvalidArgument };
        S3Error::from(code).detail("ArgumentName", "x-amz-acl").detail("ArgumentValue", name)
    })
}

/// The canned ACL that has the same grants as a document.
pub(crate) fn parse(document: &[u8]) -> Result<CannedAcl, S3Error> {
    let malformed = || S3Error::from(ErrorCode::MalformedACLError);
    let policy = Element::parse(document, "AccessControlPolicy").map_err(|_| malformed())?;
    let list = policy.child("AccessControlList").ok_or_else(malformed)?;
    let mut acl = CannedAcl::Private;
    for grant in list.all("Grant") {
        let grantee = grant.child("Grantee").ok_or_else(malformed)?;
        let permission = grant.text_of("Permission").map(str::trim).ok_or_else(malformed)?;
        match (grantee.text_of("URI").map(str::trim), permission) {
            (Some(ALL_USERS), "READ") => acl = CannedAcl::PublicRead,
            // Owners may do all, whatever stands here.
            (None, _) if grantee.text_of("ID").map(str::trim) == Some(crate::context::OWNER) => {}
            (_, "READ" | "WRITE" | "READ_ACP" | "WRITE_ACP" | "FULL_CONTROL") => {
                return Err(S3Error::new(
                    ErrorCode::NotImplemented,
                    "Only READ for all users can be granted by ACL; a bucket policy can say more",
                ));
            }
            _ => return Err(malformed()),
        }
    }
    Ok(acl)
}

/// Writes the grants of an ACL.
pub(crate) fn write(xml: &mut XmlWriter, cx: &Context, acl: CannedAcl) {
    let grant = |xml: &mut XmlWriter, kind: &str, permission: &str, grantee: &dyn Fn(&mut XmlWriter)| {
        xml.element("Grant", |xml| {
            let kind = format!("xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:type=\"{kind}\"");
            xml.element_with("Grantee", &kind, |xml| grantee(xml));
            xml.text("Permission", permission);
        });
    };
    xml.element("Owner", |xml| cx.write_owner(xml));
    xml.element("AccessControlList", |xml| {
        grant(xml, "CanonicalUser", "FULL_CONTROL", &|xml| cx.write_owner(xml));
        if acl == CannedAcl::PublicRead {
            grant(xml, "Group", "READ", &|xml| xml.text("URI", ALL_USERS));
        }
    });
}

const ALL_USERS: &str = "http://acs.amazonaws.com/groups/global/AllUsers";
const MAX_BODY: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn document(grants: &str) -> String {
        format!(
            "<AccessControlPolicy><Owner><ID>fdfs</ID></Owner><AccessControlList>{grants}</AccessControlList></AccessControlPolicy>"
        )
    }

    fn grant(grantee: &str, permission: &str) -> String {
        format!("<Grant><Grantee>{grantee}</Grantee><Permission>{permission}</Permission></Grant>")
    }

    #[test]
    fn grants_are_taken_for_the_canned_acl_they_come_to() {
        let owner = grant("<ID>fdfs</ID>", "FULL_CONTROL");
        let everybody = format!("<URI>{ALL_USERS}</URI>");
        let open = format!("{owner}{}", grant(&everybody, "READ"));
        for (grants, outcome) in [
            (owner.clone(), Ok(CannedAcl::Private)),
            (open, Ok(CannedAcl::PublicRead)),
            (String::new(), Ok(CannedAcl::Private)),
            (grant(&everybody, "WRITE"), Err(ErrorCode::NotImplemented)),
            (grant("<ID>somebody</ID>", "READ"), Err(ErrorCode::NotImplemented)),
            (grant(&everybody, "ALL"), Err(ErrorCode::MalformedACLError)),
            ("<Grant/>".to_owned(), Err(ErrorCode::MalformedACLError)),
        ] {
            assert_eq!(
                parse(document(&grants).as_bytes()).map_err(|error| error.code()),
                outcome,
                "{grants}"
            );
        }
        assert_eq!(parse(b"<Other/>").unwrap_err().code(), ErrorCode::MalformedACLError);
        assert_eq!(named("public-read-write").unwrap_err().code(), ErrorCode::NotImplemented);
        assert_eq!(named("nonsense").unwrap_err().code(), ErrorCode::InvalidArgument);
    }
}
