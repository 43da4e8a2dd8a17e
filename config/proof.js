// Tells whether Seafowl's ETag tells all of a query, and so whether an answer may be kept on the ETag's word.
//
// Seafowl makes the ETag of the Delta tables that the query's plan scans, before the plan is optimised
// (src/frontend/http.rs, plan_to_etag). Tables of queries inside of expressions are not among them, nor are functions,
// the clock, and what Seafowl says of its own tables. Such an answer would be confirmed for ever. So an ETag is passed
// on only for a query that is proven to be another one: each SELECT stands where its tables are scanned by the plan
// itself, and each function is a built-in one that depends on its arguments alone. What is not understood is not proven.
//
// What cannot be seen here: a function of a user's own that bears the name of a built-in one, and takes its place.

// In characters: a look at so many takes some 30 ms at worst, in which NGINX's worker does nothing else.
const LONGEST = 8192;

// Literals, and texts for lists of words: NGINX runs what stands outside of functions anew for each request.

// Blank, where Seafowl's parser (sqlparser 0.47, GenericDialect) sees that, too. Nested comments are not understood.
const BLANK = /[ \t\n]+|\r\n|--[\t -~]*\r?(?:\n|$)|\/\*(?:[\t\r\n -)+-.0-~]|\*(?!\/)|\/(?!\*))*\*\//y;
const TEXT = /'[^'\\]*(?:''[^'\\]*)*'/y;
const NAME = /"[^"\\]*(?:""[^"\\]*)*"/y;
const NUMBER = /(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?(?![A-Za-z0-9_.])/y;
const WORD = /[A-Za-z_][A-Za-z0-9_]*/y;
// None that begins a comment.
const SYMBOL = /::|-(?!-)|\/(?!\*)|[+*%=<>|(),.;]|!=/y;

// Functions that depend on their arguments alone, or on the rows that they look at.
const FUNCTIONS = ' count sum min max avg mean median stddev stddev_pop stddev_samp var var_pop var_samp corr covar'
    + ' covar_pop covar_samp bool_and bool_or bit_and bit_or bit_xor string_agg array_agg first_value last_value'
    + ' nth_value grouping approx_distinct approx_median approx_percentile_cont row_number rank dense_rank'
    + ' percent_rank cume_dist ntile lag lead abs acos acosh asin asinh atan atan2 atanh cbrt ceil cos cosh cot'
    + ' degrees exp factorial floor gcd isnan iszero lcm ln log log10 log2 nanvl pi pow power radians round signum sin'
    + ' sinh sqrt tan tanh trunc coalesce nullif nvl nvl2 greatest least cast try_cast ascii bit_length btrim'
    + ' char_length character_length chr concat concat_ws ends_with initcap instr left length lower lpad ltrim md5'
    + ' octet_length overlay position repeat replace reverse right rpad rtrim split_part starts_with strpos substr'
    + ' substring to_hex translate trim upper regexp_like regexp_match regexp_replace date_bin date_part date_trunc'
    + ' datepart datetrunc extract make_date to_char to_date to_timestamp to_timestamp_micros to_timestamp_millis'
    + ' to_timestamp_nanos to_timestamp_seconds to_unixtime decimal numeric varchar char ';

// Words that stand before a parenthesis that is no function's.
const BEFORE_PARENTHESIS = ' and or not in between like ilike is case when then else select distinct where having by'
    + ' on using limit offset over filter from ';

// Words with which an answer depends on more than rows, or a query may hide where no SELECT is.
const REFUSED = ' exists any some lateral recursive values table into tablesample unnest user current_user'
    + ' session_user current_catalog current_schema current_role current_date current_time current_timestamp localtime'
    + ' localtimestamp sysdate ';

// Schemas and tables that Seafowl makes up, and those that are in one node's memory alone.
const REFUSED_NAMES = ' information_schema system staging pg_catalog table_versions dropped_tables ';

// Moments that a text may stand for.
const REFUSED_TEXTS = ' now today tomorrow yesterday ';

const SET_OPERATORS = ' union except intersect ';
const JOIN_WORDS = ' inner left right full outer cross natural semi anti as ';
const AFTER_FROM = ' where group having order limit offset window qualify by ';
const STRUCTURE = ' select from join on using with' + SET_OPERATORS + AFTER_FROM;

// Words that want an expression behind them: a FROM there is a name.
const WANT_AN_EXPRESSION = ' select distinct all not and or case when then else in is like ilike similar to between'
    + ' escape as by interval zone ';

function has(words, word) {
    return words.includes(` ${word} `);
}

// The kind of the token that begins there, and the token; null where it is none that is known for certain.
function next(sql, at) {
    const first = sql[at];
    if (/[A-Za-z_]/.test(first)) {
        return found('a word', WORD, sql, at);
    }
    if (first === "'" || first === '"') {
        // Behind a letter, a quote may begin a text of other rules: E'…'.
        if (at > 0 && /[A-Za-z0-9_]/.test(sql[at - 1])) {
            return null;
        }
        return first === "'" ? found('a text', TEXT, sql, at) : found('a name', NAME, sql, at);
    }
    return found('blank', BLANK, sql, at) || found('a number', NUMBER, sql, at) || found('a symbol', SYMBOL, sql, at);
}

function found(kind, pattern, sql, at) {
    pattern.lastIndex = at;
    const match = pattern.exec(sql);
    return match === null ? null : { kind, text: match[0] };
}

// Where a query, or a parenthesis, stands after each token: which part of it comes now.
//
// A query's parts: `start` (SELECT must come), `with` (the list of common tables; `step` says what of it),
// `list`, `from` (a list of tables, strictly), `on`, `rest`, `set` (behind UNION). What is in a parenthesis of an
// expression is no query, and has no parts.
function Query() {
    this.part = 'start';
    this.step = '';
    this.names = 0;
}

function isWhole(query) {
    return query.part === 'list' || query.part === 'on' || query.part === 'rest'
        || (query.part === 'from' && query.names > 0);
}

// Whether the query is proven to be one whose ETag tells all.
function isProven(sql) {
    if (sql.length > LONGEST) {
        return false;
    }
    const open = [new Query()]; // a Query, or null for a parenthesis in an expression
    let ended = false;
    let previous = ''; // the last token: a word, a symbol, or the kind of another one
    let before = ''; // the one before that
    let at = 0;
    while (at < sql.length) {
        const read = next(sql, at);
        if (read === null) {
            return false;
        }
        at += read.text.length;
        if (read.kind === 'blank') {
            continue;
        }
        if (ended) {
            return false;
        }
        const top = open[open.length - 1];
        let token = read.kind;
        if (token === 'a text' || token === 'a name') {
            const text = read.text.slice(1, -1).trim().toLowerCase();
            // A text may be a table's name, too.
            if (has(REFUSED_NAMES, text) || (token === 'a text' && has(REFUSED_TEXTS, text))) {
                return false;
            }
        } else if (token !== 'a number') {
            token = read.text.toLowerCase();
        }
        if (read.kind === 'a word') {
            if (has(REFUSED, token) || has(REFUSED_NAMES, token)) {
                return false;
            }
            // As a name, an unquoted keyword would be taken for what it is not.
            if (has(STRUCTURE, token) && (previous === 'as' || previous === '.')) {
                return false;
            }
            if (top === null ? token === 'select' || token === 'with' : !word(top, token, previous)) {
                return false;
            }
        } else if (token === '(') {
            const inner = opened(top, previous, before);
            if (inner === undefined) {
                return false;
            }
            open.push(inner);
        } else if (token === ')') {
            open.pop();
            if (open.length === 0 || (top !== null && !isWhole(top))) {
                return false;
            }
            closed(open[open.length - 1]);
        } else if (token === ';') {
            if (open.length !== 1 || !isWhole(top)) {
                return false;
            }
            ended = true;
        } else if (!mayStand(top, token, previous)) {
            return false;
        }
        before = previous;
        previous = token;
    }
    return open.length === 1 && isWhole(open[0]);
}

// Whether a quoted name, a text, a number or a symbol may stand there.
function mayStand(query, token, previous) {
    if (query === null || query.part === 'list' || query.part === 'on' || query.part === 'rest') {
        return true;
    }
    if (query.part === 'from') {
        if (token === ',') {
            query.names = 0;
            return isTable(previous);
        }
        return token === '.' ? isName(previous) : token === 'a name' && named(query, previous);
    }
    if (query.part === 'with') {
        if (token === 'a name' && query.step === 'name') {
            query.step = 'as';
            return true;
        }
        if (token === ',' && query.step === 'next') {
            query.step = 'name';
            return true;
        }
    }
    return false;
}

// Behind what a list of tables may go on.
function isTable(previous) {
    return previous === ')' || isName(previous);
}

function isName(previous) {
    return previous === 'a name' || (/^[a-z_]/.test(previous) && !has(JOIN_WORDS, previous) && !has(STRUCTURE, previous)
        && previous !== 'a text' && previous !== 'a number');
}

// A table has a name and an alias. A third name would be a keyword that is not known here.
function named(query, previous) {
    if (previous !== '.') {
        query.names += 1;
    }
    return query.names <= 2;
}

// Whether an unquoted word may stand there, in a query.
function word(query, token, previous) {
    if (token === 'select') {
        if (query.part !== 'start' && query.part !== 'set' && !(query.part === 'with' && query.step === 'next')) {
            return false;
        }
        query.part = 'list';
        return true;
    }
    if (token === 'with') {
        query.part = 'with';
        query.step = 'name';
        return previous === ''; // first of all
    }
    if (query.part === 'start') {
        return false;
    }
    if (query.part === 'set') {
        return (token === 'all' || token === 'distinct') && has(SET_OPERATORS, previous);
    }
    if (query.part === 'with') {
        if (query.step === 'name') {
            query.step = 'as';
            return !has(STRUCTURE, token) && token !== 'as';
        }
        if (query.step === 'as' && token === 'as') {
            query.step = '(';
            return true;
        }
        return false;
    }
    if (has(SET_OPERATORS, token)) {
        if (!isWhole(query)) {
            return false;
        }
        query.part = 'set';
        return true;
    }
    if (token === 'from') {
        if (query.part !== 'list' || has(WANT_AN_EXPRESSION, previous) || /^[^a-z_)*]/.test(previous)) {
            return false;
        }
        query.part = 'from';
        query.names = 0;
        return true;
    }
    if (token === 'join') {
        if (query.part !== 'from' && query.part !== 'on') {
            return false;
        }
        if (/^[^a-z_)]/.test(previous) || (query.part === 'on' && has(WANT_AN_EXPRESSION, previous))) {
            return false;
        }
        query.part = 'from';
        query.names = 0;
        return true;
    }
    if (query.part === 'from') {
        if (token === 'on' || token === 'using') {
            query.part = 'on';
            return query.names > 0;
        }
        if (has(AFTER_FROM, token)) {
            query.part = 'rest';
            return query.names > 0;
        }
        return has(JOIN_WORDS, token) ? query.names > 0 : named(query, previous);
    }
    if (has(AFTER_FROM, token)) {
        query.part = 'rest';
    }
    return true;
}

// What a parenthesis opens: a query, null for a part of an expression, undefined where it may not stand.
function opened(query, previous, before) {
    if (query !== null && query.part === 'with') {
        return query.step === '(' ? new Query() : undefined;
    }
    if (query !== null && query.part === 'from') {
        return previous === 'from' || previous === 'join' || previous === ',' ? new Query() : undefined;
    }
    if (query !== null && (query.part === 'start' || query.part === 'set')) {
        return undefined;
    }
    if (/^[a-z_]/.test(previous)) {
        const known = (has(FUNCTIONS, previous) || has(BEFORE_PARENTHESIS, previous)) && before !== '.';
        return known ? null : undefined;
    }
    return previous === ')' || previous === '.' ? undefined : null;
}

// What a closed parenthesis is to the query around it.
function closed(query) {
    if (query !== null && query.part === 'with') {
        query.step = 'next';
    } else if (query !== null && query.part === 'from') {
        query.names = 1;
    }
}

// The query as Seafowl reads it: of a header, else of the path up to its first dot. Null where that is not certain.
function asked(r) {
    const length = r.headersIn['Content-Length'];
    if ((length !== undefined && length !== '0') || r.headersIn['Transfer-Encoding'] !== undefined) {
        return null; // a query in the body goes before any other
    }
    let encoded = r.headersIn['X-Seafowl-Query'];
    if (encoded === undefined) {
        const path = /^(?:\/[^\/?#]+)?\/q\/([^\/?#]+)(?:\?|$)/.exec(r.variables.request_uri);
        if (path === null) {
            return null;
        }
        encoded = path[1].split('.')[0];
    }
    if (!/^[ -~]*$/.test(encoded)) {
        return null;
    }
    try {
        return decodeURIComponent(encoded);
    } catch (e) {
        return null;
    }
}

// js_set: the answer's ETag where it tells all, else nothing.
function etag(r) {
    const given = r.variables.upstream_http_etag;
    if (!given) {
        return '';
    }
    const query = asked(r);
    return query !== null && isProven(query) ? given : '';
}

export default { etag };
