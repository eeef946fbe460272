// Where the provider keeps its state: outside of it, so that it can be taken down, come back with other keys, and still
// know everybody. Also what a test wants to do to a provider's records behind its back.

const GRANTABLE = new Set(['AccessToken', 'AuthorizationCode', 'RefreshToken', 'DeviceCode']);

export class Memory {
  #records = new Map();

  /** What oidc-provider calls an adapter, for one kind of record. */
  adapter(kind) {
    const key = (id) => `${kind}:${id}`;
    const find = (id) => {
      const record = this.#records.get(key(id));
      return record && record.ends > Date.now() ? record.payload : undefined;
    };
    const findBy = (match) => {
      for (const record of this.#records.values()) {
        if (record.kind === kind && record.ends > Date.now() && match(record.payload)) return record.payload;
      }
      return undefined;
    };
    return {
      upsert: async (id, payload, expiresIn) => {
        const ends = expiresIn ? Date.now() + expiresIn * 1000 : Infinity;
        this.#records.set(key(id), { kind, payload, ends });
      },
      find: async (id) => find(id),
      findByUid: async (uid) => findBy((payload) => payload.uid === uid),
      findByUserCode: async (code) => findBy((payload) => payload.userCode === code),
      consume: async (id) => {
        const payload = find(id);
        if (payload) payload.consumed = Math.floor(Date.now() / 1000);
      },
      destroy: async (id) => void this.#records.delete(key(id)),
      revokeByGrantId: async (grantId) => this.#forget((record) => record.payload.grantId === grantId),
    };
  }

  /** Ends every grant of `sub`: its refresh tokens are `invalid_grant` from now on. */
  endGrantsOf(sub) {
    this.#forget((record) => GRANTABLE.has(record.kind) && record.payload.accountId === sub);
  }

  /** The provider's own sessions of `sub`, as `{ uid, sid }` for one client. */
  sessionsOf(sub, clientId) {
    const sessions = [...this.#records.values()].filter((record) => record.kind === 'Session');
    const own = sessions.filter((record) => record.payload.accountId === sub);
    return own.map(({ payload }) => ({ uid: payload.uid, sid: payload.authorizations?.[clientId]?.sid }));
  }

  #forget(matches) {
    for (const [key, record] of this.#records) if (matches(record)) this.#records.delete(key);
  }
}
