/** Regions of OSS by the id that endpoints carry. Source: OSS documentation, "Regions and endpoints" (2026-02). */
export const REGIONS: ReadonlyMap<string, string> = new Map([
  ['cn-hangzhou', 'China (Hangzhou)'],
  ['cn-shanghai', 'China (Shanghai)'],
  ['cn-nanjing', 'China (Nanjing - Local Region)'],
  ['cn-fuzhou', 'China (Fuzhou - Local Region)'],
  ['cn-wuhan-lr', 'China (Wuhan - Local Region)'],
  ['cn-qingdao', 'China (Qingdao)'],
  ['cn-beijing', 'China (Beijing)'],
  ['cn-zhangjiakou', 'China (Zhangjiakou)'],
  ['cn-huhehaote', 'China (Hohhot)'],
  ['cn-wulanchabu', 'China (Ulanqab)'],
  ['cn-zhengzhou-jva', 'China (Zhengzhou - Joint Venture)'],
  ['cn-shenzhen', 'China (Shenzhen)'],
  ['cn-heyuan', 'China (Heyuan)'],
  ['cn-guangzhou', 'China (Guangzhou)'],
  ['cn-chengdu', 'China (Chengdu)'],
  ['cn-hongkong', 'China (Hong Kong)'],
  ['ap-northeast-1', 'Japan (Tokyo)'],
  ['ap-northeast-2', 'South Korea (Seoul)'],
  ['ap-southeast-1', 'Singapore'],
  ['ap-southeast-3', 'Malaysia (Kuala Lumpur)'],
  ['ap-southeast-5', 'Indonesia (Jakarta)'],
  ['ap-southeast-6', 'Philippines (Manila)'],
  ['ap-southeast-7', 'Thailand (Bangkok)'],
  ['eu-central-1', 'Germany (Frankfurt)'],
  ['eu-west-1', 'UK (London)'],
  ['us-west-1', 'US (Silicon Valley)'],
  ['us-east-1', 'US (Virginia)'],
  ['na-south-1', 'Mexico'],
  ['me-east-1', 'UAE (Dubai)'],
  ['me-central-1', 'SAU (Riyadh - Partner Region)'],
  ['cn-hangzhou-finance', 'China East 1 Finance (internal products)'],
  ['cn-shanghai-finance-1', 'China East 2 Finance'],
  ['cn-shenzhen-finance-1', 'China South 1 Finance'],
  ['cn-beijing-finance-1', 'China North 2 Finance'],
  ['cn-hzjbp', 'China East 1 Finance'],
  ['cn-hzfinance', 'China East 1 Finance (public)'],
  ['cn-szfinance', 'China South 1 Finance (public)'],
  ['cn-north-2-gov-1', 'China North 2 Ali Gov 1'],
]);

/**
 * In mainland China, OSS refuses data requests of accounts opened since 2025-03-20 over a public endpoint other than a
 * custom domain.
 */
export function isMainland(region: string): boolean {
  return region.startsWith('cn-') && region !== 'cn-hongkong';
}

/** A known region that `text` was probably meant to be. */
export function nearestRegion(text: string): string | undefined {
  const plain = text
    .trim()
    .toLowerCase()
    .replace(/^oss-/, '')
    .replace(/-internal$/, '')
    .replace(/[_\s]/g, '-');
  if (REGIONS.has(plain)) return plain;
  for (const [id, name] of REGIONS) if (name.toLowerCase().includes(`(${plain})`) || id.endsWith(`-${plain}`)) return id;
  return undefined;
}
