// Copyright: ailab.hub contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later
// A service of OpenID Connect: node openid_provider.mjs FILE, which says in JSON what it is.
import https from 'node:https';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const settings = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const require = createRequire(`${settings.modules}/`);
const { Provider } = await import(pathToFileURL(require.resolve('oidc-provider')).href);

const provider = new Provider(settings.issuer, {
  clients: settings.clients,
  claims: {
    openid: ['sub'],
    profile: ['preferred_username', 'groups'],
    email: ['email', 'email_verified'],
  },
  cookies: { keys: [settings.key] },
  // Its own pages ask for any name, and for consent. The name is the account.
  features: { devInteractions: { enabled: true } },
  findAccount: (context, id) => ({
    accountId: id,
    claims: () => ({ sub: id, preferred_username: id, ...settings.accounts[id] }),
  }),
});
const { address, port, key_file, certificate_file } = settings;
if (key_file) {
  const files = { key: readFileSync(key_file), cert: readFileSync(certificate_file) };
  https.createServer(files, provider.callback()).listen(port, address);
} else {
  provider.listen(port, address);
}
