// Lets an answer break off that Seafowl ends with an error.
//
// Seafowl sends the head of an answer before it runs the query. What fails later becomes text in the body, behind the
// rows so far and perhaps before others (src/frontend/http.rs), and the answer looks complete. Rows are JSON lines: what
// begins a line with anything but a brace, or does not end the last one, is such a text.

const NEWLINE = 10;
const BRACE = 123;

// js_header_filter: without a length, an answer is complete only when its end is sent.
function head(r) {
    if (hasRows(r)) {
        delete r.headersOut['Content-Length'];
    }
}

// js_body_filter, with buffer_type=buffer. Each piece is passed on as it comes, the error's text too: the client can
// read it. Only the end is not, so that neither the cache nor the client takes the answer for a result.
function body(r, piece, flags) {
    if (!hasRows(r)) {
        r.sendBuffer(piece, flags);
        r.done();
        return;
    }
    const line = after(r.variables.line || 'ended', piece);
    r.variables.line = line;
    if (flags.last && line !== 'ended') {
        throw new Error('the answer ends with an error, and is broken off');
    }
    r.sendBuffer(piece, { last: flags.last, flush: true });
}

// Only what is asked for with GET is kept. Other answers are Seafowl's matter, and the client's.
function hasRows(r) {
    return r.headersIn['X-Method'] === 'GET' && r.status === 200
        && (r.headersOut['Content-Type'] || '').startsWith('application/json')
        && !r.headersOut['Content-Encoding'];
}

// How the body stands after a piece of it: its last line has `ended`, is still `open`, or some line was `no row`.
function after(line, piece) {
    if (piece.length === 0) {
        return line;
    }
    if (line === 'no row' || (line === 'ended' && piece[0] !== BRACE)) {
        return 'no row';
    }
    const last = piece.length - 1;
    let end = piece.indexOf(NEWLINE);
    while (end !== -1 && end < last) {
        if (piece[end + 1] !== BRACE) {
            return 'no row';
        }
        end = piece.indexOf(NEWLINE, end + 1);
    }
    return end === last ? 'ended' : 'open';
}

export default { head, body };
