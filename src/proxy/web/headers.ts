/** On every web response, whatever its status and type. */
export const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  "X-Content-Type-Options": "nosniff",
  "Referrer-Policy": "strict-origin",
  "X-Frame-Options": "SAMEORIGIN",
  "X-XSS-Protection": "1; mode=block",
  // With subdomains: apps under the proxy's name are out of reach of plain HTTP in browsers, as in the guide.
  "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
};

/** On every HTML page besides. Script and style are files of our own: nothing inline runs, nothing foreign is asked. */
export const HTML_HEADERS: Readonly<Record<string, string>> = {
  "Content-Type": "text/html; charset=utf-8",
  "Cache-Control": "no-store",
  "Content-Security-Policy": [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",
  ].join("; "),
};
