import { fileFault, OperationError } from "../base/mod.ts";

/** The proxy cannot listen where `web_listen_addr` says. */
export class ProxyListenError extends OperationError {
  readonly code = "proxy.listen";
  readonly address: string;

  constructor(address: string, cause: unknown) {
    super(`the proxy cannot listen on ${address}: is another program using it? Set proxy_service.web_listen_addr`, {
      cause,
    });
    this.address = address;
  }
}

/** A pair of `https_keypairs` cannot be used. */
export class WebCertificateError extends OperationError {
  readonly code = "proxy.web-certificate";
  readonly file: string;

  constructor(file: string, cause: unknown) {
    super(`the web certificate ${file} cannot be used: ${fileFault(cause)}; see proxy_service.https_keypairs`, {
      cause,
    });
    this.file = file;
  }
}
