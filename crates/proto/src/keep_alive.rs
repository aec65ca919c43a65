//! `ACTIVE_TEST` (111) and `QUIT` (82): what everybody answers, and what nobody does.

use crate::Empty;
use crate::message::empty_request;

empty_request! {
    /// `ACTIVE_TEST` (111): is the other side alive?
    ActiveTestRequest, ACTIVE_TEST, Empty
}

empty_request! {
    /// `QUIT` (82): the sender closes the connection. There is no answer.
    QuitRequest, QUIT, Empty
}
